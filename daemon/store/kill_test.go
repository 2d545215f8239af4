package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/record"
)

// childEnv names the state directory to a copy of the test program that is there to
// be killed.
const childEnv = "TOKEND_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := putUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// putUntilKilled puts ever higher numbers from several goroutines and prints each
// one that was acknowledged.
func putUntilKilled(dir string) error {
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		return err
	}
	start := 0
	for r, err := range s.All(record.Credentials) {
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(r.Value[:8]))
		if err != nil {
			return err
		}
		start = max(start, n+1)
	}
	fmt.Println("ready")
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for g := range 4 {
		wg.Go(func() {
			for i := start; ; i++ {
				value := fmt.Sprintf("%08d%s", i, strings.Repeat("v", 500))
				// Two records a Put: both or neither must be there.
				err := s.Put(context.Background(), rec(fmt.Sprintf("a%d", g), value), rec(fmt.Sprintf("b%d", g), value))
				if err != nil {
					errs <- err
					return
				}
				fmt.Println(g, i)
			}
		})
	}
	wg.Wait()
	return <-errs
}

func TestKill(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	acked := make(map[string]int)
	var puts int
	for range 20 {
		puts += killOne(t, c.Dir, acked)
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		got := contents(t, s, record.Credentials)
		for g, want := range acked {
			a, b := got["a"+g], got["b"+g]
			if a != b {
				t.Errorf("goroutine %s: half a Put is there: %.8s and %.8s", g, a, b)
			}
			if len(a) < 8 || a[:8] < fmt.Sprintf("%08d", want) {
				t.Errorf("goroutine %s: acknowledged %08d, found %.8s", g, want, a)
			}
		}
		if s.Missing() != 0 {
			t.Errorf("missing: got %d, want 0", s.Missing())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if puts < 100 {
		t.Errorf("only %d Puts were acknowledged in all: the test proves little", puts)
	}
	t.Logf("%d acknowledged Puts, none lost", puts)
}

// killOne runs a child, kills it at a random instant, and records in acked the last
// number that each of its goroutines had acknowledged. It returns how many there were.
func killOne(t *testing.T, dir string, acked map[string]int) int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child said %q", lines.Text())
	}
	kill := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = child.Process.Kill() })
	defer kill.Stop()
	var n int
	for lines.Scan() {
		var g string
		var i int
		// A line that the kill has cut is no acknowledgement.
		if _, err := fmt.Sscanf(lines.Text()+"\n", "%s %d\n", &g, &i); err == nil {
			acked[g] = max(acked[g], i)
			n++
		}
	}
	_ = child.Wait() // killed: that is what was wanted
	return n
}
