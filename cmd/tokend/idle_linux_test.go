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

// databaseTick is how often each of the database's two compactors looks whether there is something
// to do. It has no setting for that.
const databaseTick = 50 * time.Millisecond

// ticking is a program that does what the database does of itself when nobody asks anything, and
// nothing else.
func ticking() {
	for i := range 2 {
		go func() {
			time.Sleep(time.Duration(i) * databaseTick / 3) // they do not tick together
			for range time.Tick(databaseTick) {
				continue
			}
		}()
	}
	select {}
}

// wakes returns how often the threads of a process have waited for something, and thus have been
// woken.
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

// TestIdle holds that a daemon that nobody asks, with all that it can have on, is woken by its
// database's ticks and by hardly anything else: as often as a program that ticks so, beside it, on
// whatever machine this is. Each tick is some five wakes, of the thread that waits for it, of one
// that the runtime has look for more, and of the one that looks after the others.
func TestIdle(t *testing.T) {
	s := newSiteOf(t, wechattest.Settings{})
	s.conf.LogLevel = "warn"
	s.configure("", "\n[http]\nlisten = \"127.0.0.1:0\"\n")
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
	for range 20 { // what a start has left to do may take some seconds
		daemon, ticks := wakes(t, s.daemon.Process.Pid), wakes(t, alone.Process.Pid)
		time.Sleep(time.Second)
		daemon, ticks = wakes(t, s.daemon.Process.Pid)-daemon, wakes(t, alone.Process.Pid)-ticks
		seen = append(seen, fmt.Sprintf("%d to %d", daemon, ticks))
		if daemon <= ticks+ticks/4+10 {
			return
		}
	}
	t.Errorf("the daemon was woken more often than what ticks as its database, each second: %s", strings.Join(seen, ", "))
}
