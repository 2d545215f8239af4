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

// childEnv tells a copy of the test program, which is there to be killed, what to do; childDir
// in which state directory.
const (
	childEnv = "TOKEND_TEST_STORE_CHILD"
	childDir = "TOKEND_TEST_STORE_DIR"
)

// children are what a child can do. Each prints "ready" when it begins.
var children = map[string]func(dir string) error{
	"put":       putUntilKilled,
	"rekey":     rekeyOnce,
	"seal":      sealOnce,
	"work":      workUntilKilled,
	"open":      openOnce,
	"steps":     putSteps,
	"exhausted": putWithoutDescriptors,
	"logs":      putThroughLogs,
}

func TestMain(m *testing.M) {
	if do, ok := children[os.Getenv(childEnv)]; ok {
		if err := do(os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// openOnce opens a store, reads a record and closes it again: what a start on a bad disk comes to.
// What it says is the error alone.
func openOnce(dir string) error {
	fmt.Println("ready")
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		fmt.Printf("refused: %v\n", err)
		return nil
	}
	fmt.Println("opened")
	if err := s.Close(); err != nil {
		fmt.Printf("close: %v\n", err)
	}
	return nil
}

// child returns a command that runs a child, behind a prefix of other commands.
func child(t *testing.T, do, dir string, prefix ...string) *exec.Cmd {
	t.Helper()
	args := append(prefix, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+do, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
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
				// A token and the grant that came with it: both or neither must be there.
				err := s.Put(context.Background(), rec(fmt.Sprint(g), value), grant(fmt.Sprint(g), value))
				if err != nil {
					errs <- err
					return
				}
				fmt.Println(g, i)
				if i%3 > 0 {
					continue
				}
				// A token alone does not overtake the grants before it.
				alone := fmt.Sprint("alone", g)
				if err := s.Put(context.Background(), rec(alone, value)); err != nil {
					errs <- err
					return
				}
				fmt.Println(alone, i)
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
	for range rounds(12, 500) {
		puts += killOne(t, c.Dir, acked)
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		tokens, grants := contents(t, s, record.Credentials), contents(t, s, record.Grants)
		for g, want := range acked {
			a, b := tokens[g], grants[g]
			if a != b && !strings.HasPrefix(g, "alone") {
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
	if puts < 50 {
		t.Errorf("only %d Puts were acknowledged in all: the test proves little", puts)
	}
	t.Logf("%d acknowledged Puts, none lost", puts)
}

// killOne runs a child, kills it at a random instant, and records in acked the last
// number that each of its goroutines had acknowledged. It returns how many there were.
func killOne(t *testing.T, dir string, acked map[string]int) int {
	t.Helper()
	child := child(t, "put", dir)
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
	// After some acknowledgements, which a busy machine takes its time for, and then at any
	// instant.
	after := rand.IntN(40)
	var kill *time.Timer
	var n int
	for {
		if n >= after && kill == nil {
			kill = time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			defer kill.Stop()
		}
		if !lines.Scan() {
			break
		}
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
