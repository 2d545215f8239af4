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

// childEnv tells a copy of the test program, which will be killed, what to do. childDir is its
// state directory.
const (
	childEnv = "TOKEND_TEST_STORE_CHILD"
	childDir = "TOKEND_TEST_STORE_DIR"
)

// children are the functions of a child. Each prints "ready" when it begins.
var children = map[string]func(dir string) error{
	"put":       putUntilKilled,
	"rekey":     rekeyOnce,
	"seal":      sealOnce,
	"work":      workUntilKilled,
	"open":      openOnce,
	"steps":     putSteps,
	"exhausted": putWithoutDescriptors,
	"logs":      putThroughLogs,
	"copies":    copyThroughLogs,
	"follow":    copyUntilKilled,
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

// openOnce opens a store, reads a record and closes it, as a start on a bad disk does. It prints
// only the error.
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

// child returns a command that runs a child after a prefix of other commands.
func child(t *testing.T, do, dir string, prefix ...string) *exec.Cmd {
	t.Helper()
	args := append(prefix, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+do, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// putUntilKilled stores increasing numbers from several goroutines and prints each acknowledged
// one.
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
				// A token and the grant that came with it: both or neither must be stored.
				err := s.Put(context.Background(), rec(fmt.Sprint(g), value), grant(fmt.Sprint(g), value))
				if err != nil {
					errs <- err
					return
				}
				fmt.Println(g, i)
				if i%3 > 0 {
					continue
				}
				// A token alone does not overtake earlier grants.
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
				t.Errorf("goroutine %s: a Put was stored partially: %.8s and %.8s", g, a, b)
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
		t.Errorf("only %d Puts were acknowledged: too few for the test", puts)
	}
	t.Logf("%d acknowledged Puts, none lost", puts)
}

// killOne runs a child and kills it at a random instant. It records in acked the last number that
// each goroutine of the child had acknowledged, and returns how many there were.
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
		t.Fatalf("the child printed %q", lines.Text())
	}
	// After some acknowledgements, which take time on a busy machine, and then at any instant.
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
		// A truncated line is not an acknowledgement.
		if _, err := fmt.Sscanf(lines.Text()+"\n", "%s %d\n", &g, &i); err == nil {
			acked[g] = max(acked[g], i)
			n++
		}
	}
	_ = child.Wait() // killed on purpose
	return n
}
