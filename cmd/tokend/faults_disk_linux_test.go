package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/clientlib"
)

// want skips a test if its requirement is missing, or fails it with -faults.
func want(t *testing.T, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
	case *faults:
		t.Fatalf("%s: %v", what, err)
	default:
		t.Skipf("SKIPPED: %s: %v", what, err)
	}
}

// smallDisk puts the state directory of a site on a disk of size bytes. Only this goroutine's
// thread and its children see the mount. The thread stays locked, so the namespace ends with it,
// however the test ends.
func (s *faultSite) smallDisk(size int) (dir string) {
	s.t.Helper()
	runtime.LockOSThread()
	want(s.t, unix.Unshare(unix.CLONE_NEWNS), "a mount namespace")
	want(s.t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), "mounts of one's own")
	dir = filepath.Join(s.dir, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	want(s.t, unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)), "a small disk")
	s.inPlace = true
	s.t.Cleanup(func() {
		if s.daemon.ProcessState == nil {
			s.kill()
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			s.t.Error(err)
		}
	})
	toml := strings.Replace(s.conf.TOML(), filepath.Join(s.dir, "state"), filepath.Join(dir, "state"), 1)
	if err := os.WriteFile(s.file(), []byte(toml+faultTables()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// fill uses up the free space of dir's disk.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 4096); ; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// trouble is the result of a time in which the disk fails: what was submitted and its outcome.
type trouble struct {
	acked   []string // tokens of customers that were acknowledged nevertheless
	refused int
	lost    bool // STATUS has reported "durable no"
}

// endure uses the daemon for length, or until a value cannot be written, while the disk fails.
// Reads must succeed, also of new values. Submitted values may be refused with INTERNAL.
func (s *faultSite) endure(length time.Duration, again func()) (tr trouble) {
	s.t.Helper()
	handed := func(name string, err error) {
		switch _, refused := errors.AsType[*clientlib.Error](err); {
		case err == nil:
			tr.acked = append(tr.acked, name)
		case refused:
			tr.refused++
		default:
			s.t.Errorf("submitted while the disk fails: %v", err)
		}
	}
	owner := "open_platform/" + faultPlatform
	for began := time.Now(); time.Since(began) < length || !tr.lost && time.Since(began) < longEnough; time.Sleep(20 * time.Millisecond) {
		again()
		for _, name := range s.tokens() {
			s.good(s.client, name)
			tr.lost = tr.lost || s.status(name, "durable") == "no"
		}
		name, err := s.customer(s.client)
		if err != nil && !errors.Is(err, clientlib.ErrInternal) {
			s.t.Errorf("PUT while the disk fails: %v", err)
		}
		handed(name, err)
		if _, err := s.pushTicket(s.client); err != nil && !errors.Is(err, clientlib.ErrInternal) {
			s.t.Errorf("PUT of a ticket while the disk fails: %v", err)
		}
		code := s.wechat.Authorize(faultPlatform, s.newChild("wxcode"))
		name, err = s.client.Exchange(s.t.Context(), owner, clientlib.Secret(code))
		if err != nil && !errors.Is(err, clientlib.ErrInternal) {
			s.t.Errorf("EXCHANGE while the disk fails: %v", err)
		}
		handed(name+"/access_token", err)
	}
	if !tr.lost {
		s.t.Error("STATUS never reported a value that is not durable")
	}
	return tr
}

// recovered waits until everything is written, then verifies it with a kill while WeChat is down.
func (s *faultSite) recovered(tr trouble) time.Duration {
	s.t.Helper()
	took := s.within(longEnough, "the disk accepts grants and values again", func() bool {
		name, err := s.customer(s.client)
		if err != nil {
			return false
		}
		tr.acked = append(tr.acked, name)
		for _, name := range s.tokens() {
			s.good(s.client, name)
			if s.status(name, "durable") == "no" {
				return false
			}
		}
		return true
	})
	for began := time.Now(); !s.survives(); { // a busy machine may start the daemon too late
		if time.Since(began) > longEnough {
			s.t.Fatalf("no start while a value from before lives\n%s", s.tail())
		}
	}
	if _, err := s.pushTicket(s.client); err != nil {
		s.t.Error(err)
	}
	for _, name := range tr.acked {
		s.within(longEnough, name+" is there", func() bool {
			// The pause after an interrupted call passes.
			_, late, err := s.get(s.client, name)
			if err != nil && !errors.Is(err, clientlib.ErrUnavailable) || tooLate(name, late) {
				s.t.Errorf("acknowledged while the disk failed: %v, %v after its expiry", err, late)
			}
			return err == nil
		})
	}
	return took
}

// survives kills the daemon while WeChat is down, and checks that the next one serves the values
// from before. It reports whether it has done so while any of them lived.
func (s *faultSite) survives() (seen bool) {
	s.t.Helper()
	values := map[string]string{}
	s.within(longEnough, "half of the values have enough lifetime left", func() bool {
		clear(values)
		for _, name := range s.tokens() {
			v, _, err := s.get(s.client, name) // fails until the pause after a failed call has passed
			if err == nil && time.Until(s.wechat.Ends(v)) > s.life/2 {
				values[name] = v
			}
		}
		return len(values) >= len(s.tokens())/2
	})
	s.wechat.SetAway(true)
	defer s.wechat.SetAway(false)
	s.kill()
	s.spawn()
	s.answers()
	for name, v := range values {
		got, _, err := s.get(s.client, name)
		if time.Until(s.wechat.Ends(v)) < longestLate {
			continue // it may have been fetched in its last second
		}
		seen = true
		if got != v {
			s.t.Errorf("%s: got another value than the durable one from before the kill, or %v", name, err)
		}
	}
	return seen
}

// ready starts a daemon and fetches everything once.
func (s *faultSite) ready() {
	s.t.Helper()
	s.spawn()
	s.answers()
	if _, err := s.pushTicket(s.client); err != nil {
		s.t.Fatal(err)
	}
	name, err := s.customer(s.client)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range append(s.tokens(), name) {
		s.good(s.client, name)
	}
}

// TestDiskFull fills the disk of a running daemon for a while.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, 6*time.Second)
	dir := s.smallDisk(96 << 20)
	s.ready()
	fill(t, dir)
	pid := s.daemon.Process.Pid
	tr := s.endure(span(time.Second, time.Minute), func() { fill(t, dir) })
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(s.log(), "\n")
	if s.daemon.Process.Pid != pid {
		t.Error("another process")
	}
	took := s.recovered(tr)
	t.Logf("reads were served; %d submissions refused, %d accepted and durable; all written %v after space was free; %d log lines",
		tr.refused, len(tr.acked), took.Round(time.Millisecond), lines)
}

const syncs = "fsync,fdatasync,msync,sync_file_range"

// failSyncs makes every sync of the running daemon fail, until restore is called.
func (s *faultSite) failSyncs() (restore func()) {
	s.t.Helper()
	_, err := exec.LookPath("strace")
	want(s.t, err, "strace")
	pid := s.daemon.Process.Pid
	var said strings.Builder
	cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+syncs,
		"-e", "inject="+syncs+":error=EIO", "-p", fmt.Sprint(pid))
	cmd.Stderr = &said
	if err := startWithTest(cmd); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	traced := func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return err == nil && !strings.Contains(string(b), "TracerPid:\t0\n")
	}
	for began := time.Now(); !traced(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			want(s.t, errors.New(said.String()), "strace")
		default:
		}
		if time.Since(began) > longEnough {
			s.t.Fatal("strace does not attach")
		}
	}
	time.Sleep(100 * time.Millisecond) // until strace has the other threads too
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if traced() {
			s.t.Error("strace does not detach")
		}
	}
}

// TestSyncFails makes every fsync of a running daemon fail for a while.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, 6*time.Second)
	s.ready()
	restore := s.failSyncs()
	began, before := time.Now(), s.cpu()
	tr := s.endure(span(time.Second, 30*time.Second), func() {})
	spent := s.cpu() - before
	if len(tr.acked) > 0 {
		t.Errorf("%d submissions were acknowledged, but no sync succeeded", len(tr.acked))
	}
	if share := float64(spent) / float64(time.Since(began)); share > 0.5 {
		t.Errorf("processor time: %v in %v", spent, time.Since(began))
	}
	lines := strings.Count(s.log(), "\n")
	restore()
	took := s.recovered(tr)
	t.Logf("reads were served; %d submissions refused, none acknowledged; all written %v after the disk recovered; %d log lines",
		tr.refused, took.Round(time.Millisecond), lines)
}

// TestSyncFailsAtStart holds that a start on a failing disk ends with status 1 and the reason, not
// in a loop, and loses no grant.
func TestSyncFailsAtStart(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("strace")
	want(t, err, "strace")
	s := newFaultSite(t, time.Minute)
	s.ready()
	name, err := s.customer(s.client)
	if err != nil {
		t.Fatal(err)
	}
	starts := rounds(1, 10)
	for range starts {
		s.kill()
		// With -D the daemon is the started process, and strace its grandchild.
		out, err := exec.Command("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+syncs,
			"-e", "inject="+syncs+":error=EIO", "tokend", "serve", "--config", s.file()).CombinedOutput()
		if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() != 1 {
			t.Fatalf("a start on a failing disk: %v\n%s", err, out)
		}
		if !strings.Contains(string(out), "input/output error") {
			t.Errorf("the reason is missing: %s", out)
		}
		s.spawn()
		s.answers()
		if _, err := s.pushTicket(s.client); err != nil { // WeChat pushes every ten minutes
			t.Fatal(err)
		}
		s.good(s.client, name)
	}
	for _, name := range s.tokens() {
		s.good(s.client, name)
	}
	t.Logf("%d starts on a failing disk ended with status 1; no grant is lost", starts)
}
