package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStartedOutlivesThreads holds that the end of a thread, as in tests with their own mounts,
// does not end the daemon of another test.
func TestStartedOutlivesThreads(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	type start struct {
		thread int
		err    error
	}
	started := make(chan start)
	begin := func() {
		runtime.LockOSThread() // stays locked: the thread ends with this goroutine
		s := start{thread: unix.Gettid()}
		if s.thread != os.Getpid() {
			s.err = startWithTest(cmd)
		}
		started <- s
	}
	go begin()
	s := <-started
	if s.thread == os.Getpid() { // the main thread never ends, and is unusable now
		go begin()
		s = <-started
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", s.thread)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Since(began) > longEnough {
			t.Fatal("the thread does not end")
		}
	}
	_, _ = fmt.Fprintln(in, "still there") // checked by the read
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "still there\n" {
		t.Errorf("got %q, %v", line, err)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}
