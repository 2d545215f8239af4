package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokend/fetchers/wechattest"
)

// databaseTick is the interval at which each of the database's two compactors checks for work. It
// is fixed.
const databaseTick = 50 * time.Millisecond

// ticking is a program that does only what an idle database does.
func ticking() {
	for i := range 2 {
		go func() {
			time.Sleep(time.Duration(i) * databaseTick / 3) // so that they do not tick together
			for range time.Tick(databaseTick) {
				continue
			}
		}()
	}
	select {}
}

// wakes returns how often the threads of a process have waited, and so have been woken.
func wakes(t *testing.T, pid int) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(text)) {
			if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				one, err := strconv.Atoi(strings.TrimSpace(count))
				if err != nil {
					t.Fatal(err)
				}
				n += one
			}
		}
	}
	return n
}

// TestIdle holds that an idle daemon with all features on wakes up hardly more often than its
// database's ticks require. It compares the daemon with a program that only ticks, on the same
// machine. Each tick wakes about five threads: the waiting thread, a thread that the runtime starts
// to look for more work, and the monitor thread.
func TestIdle(t *testing.T) {
	s := newSiteOf(t, wechattest.Settings{})
	s.conf.LogLevel = "warn"
	s.configure("", "\n[http]\nlisten = \"127.0.0.1:0\"\n[pages]\nlisten = \"127.0.0.1:0\"\n")
	s.serve()
	s.everything()
	alone := exec.Command("ticking")
	if err := startWithTest(alone); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = alone.Process.Kill()
		_ = alone.Wait()
	})
	var seen []string
	for range 20 { // the start may need some seconds
		daemon, ticks := wakes(t, s.daemon.Process.Pid), wakes(t, alone.Process.Pid)
		time.Sleep(time.Second)
		daemon, ticks = wakes(t, s.daemon.Process.Pid)-daemon, wakes(t, alone.Process.Pid)-ticks
		seen = append(seen, fmt.Sprintf("%d to %d", daemon, ticks))
		if daemon <= ticks+ticks/4+10 {
			return
		}
	}
	t.Errorf("the daemon was woken more often than a program with its database's ticks, per second: %s", strings.Join(seen, ", "))
}
