package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
)

// workUntilKilled does what a daemon does to its store: tokens are fetched and grants rotate, each
// with a higher number than the previous one. It prints a line for each acknowledged, rejected or
// failed operation. When standard input ends, it closes the store.
func workUntilKilled(dir string) error {
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Info})
	s, err := Open(Config{Dir: dir, Key: key1, Logger: log})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	stop, ended := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	work := func(kind string, put func(n int) error) {
		wg.Go(func() {
			for n := int(time.Now().UnixMilli()); stop.Err() == nil; n++ {
				if err := put(n); err != nil {
					fmt.Println("refused", kind, n, err)
				} else {
					fmt.Println("acked", kind, n, time.Now().UnixNano())
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	ctx := context.Background()
	for g := range 3 {
		kind := fmt.Sprint("grant", g)
		work(kind, func(n int) error {
			v := fmt.Sprint(n)
			if err := s.Put(ctx, grant(kind, v), rec("of "+kind, v)); err != nil {
				return err
			}
			if r, err := s.Get(record.Grants, kind); err != nil || string(r.Value) != v {
				fmt.Println("misread", kind, n, string(r.Value), err)
			}
			return nil
		})
	}
	work("token", func(n int) error { return s.Put(ctx, rec("token", fmt.Sprint(n, strings.Repeat(" ", 2000)))) })
	_, _ = io.Copy(io.Discard, os.Stdin)
	ended()
	wg.Wait()
	err = s.Close()
	fmt.Println("closed")
	return err
}

// worker is a child that works, and its output.
type worker struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed after its last line
	log   logBuffer

	mu      sync.Mutex
	acks    map[string][]ack
	refused map[string]int
	misread []string
}

// ack is one acknowledgement: the number, and when the child had it, in nanoseconds of the host's
// clock.
type ack struct{ n, at int }

// startWorker starts a child on dir, after a prefix of other commands, and waits until it is ready.
func startWorker(t *testing.T, dir string, prefix ...string) *worker {
	t.Helper()
	w := &worker{
		cmd: child(t, "work", dir, prefix...), done: make(chan struct{}),
		acks: map[string][]ack{}, refused: map[string]int{},
	}
	w.cmd.Stderr = &w.log
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the child's log:\n%s", &w.log)
		}
	})
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.stdin = stdin
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A process group, so that kill reaches the child too: a killed tracer only detaches.
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		_ = w.cmd.Wait()
		t.Fatalf("the child printed %q", lines.Text())
	}
	go func() {
		defer close(w.done)
		for lines.Scan() {
			w.hear(lines.Text())
		}
	}()
	t.Cleanup(w.kill) // before its log is read
	return w
}

func (w *worker) hear(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var what, kind string
	var a ack
	if _, err := fmt.Sscan(line, &what, &kind, &a.n); err != nil {
		return // the last line of a killed child may be truncated
	}
	switch what {
	case "acked":
		if _, err := fmt.Sscan(line, &what, &kind, &a.n, &a.at); err == nil {
			w.acks[kind] = append(w.acks[kind], a)
		}
	case "refused":
		w.refused[kind]++
	default:
		w.misread = append(w.misread, line)
	}
}

// counts returns how many Puts of tokens and of grants were acknowledged and rejected.
func (w *worker) counts() (tokens, grants, tokensRefused, grantsRefused int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for kind, acks := range w.acks {
		if kind == "token" {
			tokens += len(acks)
		} else {
			grants += len(acks)
		}
	}
	for kind, n := range w.refused {
		if kind == "token" {
			tokensRefused += n
		} else {
			grantsRefused += n
		}
	}
	return
}

// kill kills the child if it is running, and waits for its last line.
func (w *worker) kill() {
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
	<-w.done
	_ = w.cmd.Wait()
}

// end lets the child close its store.
func (w *worker) end(t *testing.T) {
	t.Helper()
	_ = w.stdin.Close()
	<-w.done
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("the child ended badly: %v", err)
	}
}

// acked returns, for each kind, the highest number that was acknowledged before the given time, and
// how many came later.
func (w *worker) acked(before time.Time) (highest map[string]int, late int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	highest = make(map[string]int)
	for kind, acks := range w.acks {
		for _, a := range acks {
			if a.at >= int(before.UnixNano()) {
				late++
				continue
			}
			highest[kind] = max(highest[kind], a.n)
		}
	}
	return highest, late
}

// wantAcked checks that the store in dir has what was acknowledged before the given time, or the
// next attempt, and that no read failed.
func wantAcked(t *testing.T, dir string, before time.Time, workers ...*worker) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := func(table record.Table, key string) int {
		var n int
		r, err := s.Get(table, key)
		if err == nil {
			_, err = fmt.Sscan(string(r.Value), &n)
		}
		if err != nil {
			t.Errorf("%s %s: %v", table, key, err)
		}
		return n
	}
	for _, w := range workers {
		for _, line := range w.misread {
			t.Error(line)
		}
		highest, _ := w.acked(before)
		for kind, want := range highest {
			token := "token"
			if kind != token {
				token = "of " + kind
				if got := found(record.Grants, kind); got < want {
					t.Errorf("%s: acknowledged %d, found %d", kind, want, got)
				}
			}
			if got := found(record.Credentials, token); got < want {
				t.Errorf("%s: acknowledged %d, found %d", token, want, got)
			}
		}
	}
}
