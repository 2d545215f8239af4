package store

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/daemon/record"
)

// run runs a command.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// TestDiskRejectsWrites simulates a failing disk controller. Acknowledged records stay, and writes
// resume with the disk, without a restart.
func TestDiskRejectsWrites(t *testing.T) {
	needTools(t, "strace")
	tests := []struct{ name, calls, when, of string }{
		{"the database's sync once", "fdatasync", "20", "store/0000[1-9].mem"},
		{"the journal's sync once", "fdatasync", "12", "grants.journal"},
		{"all of it for a while", "msync,fsync,fdatasync", "30..31", ""},
	}
	for _, test := range tests[:rounds(1, len(tests))] {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := newStateDir(t)
			filled(t, Config{Dir: dir, Key: key1}, grant("grant0", "0"))
			// strace counts per thread.
			trace := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + test.calls,
				"-e", fmt.Sprintf("inject=%s:error=EIO:when=%s", test.calls, test.when)}
			for n := 1; n < 10 && test.of != ""; n++ {
				trace = append(trace, "-P", filepath.Join(dir, strings.Replace(test.of, "[1-9]", fmt.Sprint(n), 1)))
			}
			w := startWorker(t, dir, trace...)
			enough := rounds(50, 300)
			eventually(t, "the disk has refused something, and all is taken again", func() bool {
				tokens, grants, refusedTokens, refusedGrants := w.counts()
				if test.of == "grants.journal" {
					return tokens > enough && grants > enough // the database covers for the journal
				}
				// A rejected drain is not returned to any Put.
				refused := refusedTokens+refusedGrants > 0 || strings.Contains(w.log.String(), "the disk refused a commit")
				return refused && tokens > enough && grants > enough
			})
			// Writes resume in the end.
			before, _, _, _ := w.counts()
			eventually(t, "tokens are written", func() bool { now, _, _, _ := w.counts(); return now > before+20 })
			w.kill()
			wantAcked(t, dir, time.Now(), w)
			tokens, grants, refusedTokens, refusedGrants := w.counts()
			t.Logf("tokens %d, refused %d; grants %d, refused %d", tokens, refusedTokens, grants, refusedGrants)
		})
	}
}

// TestDiskFull fills the disk under an active store, to the last byte. Reads continue, the journal
// accepts grants, a restart succeeds, and tokens are accepted again when there is space.
func TestDiskFull(t *testing.T) {
	disk := mountTmpfs(t, "64m")
	dir := filepath.Join(disk, "state")
	w := startWorker(t, dir)
	eventually(t, "it works", func() bool { tokens, grants, _, _ := w.counts(); return tokens > 50 && grants > 50 })
	filler := filepath.Join(disk, "filler")
	fillUp(t, filler)
	eventually(t, "tokens are refused", func() bool { _, _, refused, _ := w.counts(); return refused > 0 })
	_, before, _, _ := w.counts()
	time.Sleep(time.Duration(rounds(300, 30_000)) * time.Millisecond)
	var after int
	eventually(t, "grants are taken on the full disk", func() bool { _, after, _, _ = w.counts(); return after > before })

	// Killed and restarted on the full disk.
	w.kill()
	fillUp(t, filler)
	again := startWorker(t, dir)
	fillUp(t, filler)
	eventually(t, "grants are taken after a restart", func() bool { _, grants, _, _ := again.counts(); return grants > 20 })
	time.Sleep(time.Duration(rounds(300, 30_000)) * time.Millisecond)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	tokens, _, _, refused := again.counts()
	eventually(t, "tokens are taken again", func() bool { now, _, _, _ := again.counts(); return now > tokens+20 })
	if refused > 0 {
		t.Errorf("grants refused on the full disk: %d", refused)
	}
	again.end(t)
	wantAcked(t, dir, time.Now(), w, again)
	tokens, grants, refusedTokens, _ := again.counts()
	t.Logf("on the full disk %d grants, after a restart %d; %d tokens refused, %d taken", after-before, grants, refusedTokens, tokens)
}

// TestBallastLeavesMargin creates the ballast on a disk that is short of space. Space for Badger's
// flushes remains.
func TestBallastLeavesMargin(t *testing.T) {
	disk := mountTmpfs(t, "10m")
	b := newBallast(disk)
	if err := b.restore(1 << 62); !errors.Is(err, ErrDiskFull) || b.size() == 0 {
		t.Errorf("got %v and %d bytes, want a part of the ballast", err, b.size())
	}
	if free, err := freeSpace(disk); err != nil || free < ballastMargin {
		t.Errorf("%d bytes are left, %v; want %d", free, err, ballastMargin)
	}
}

// mountTmpfs mounts a tmpfs of a size for the test and returns its path.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	needRoot(t)
	disk := t.TempDir()
	if err := unix.Mount("tokend-test", disk, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		lacking(t, "a tmpfs of its own: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fillUp extends path as far as the disk permits.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
}

// ext4Shutdown is EXT4_IOC_SHUTDOWN. Its flag ext4NoFlush stops all writes, including the file
// system's journal: a power cut, except for the disk's own cache.
const (
	ext4Shutdown = 0x8004587d
	ext4NoFlush  = 2
)

// TestPowerCuts cuts the power of an active store at random instants. Acknowledged records remain,
// and the store opens.
func TestPowerCuts(t *testing.T) {
	device, disk := mountDisk(t)
	dir := filepath.Join(disk, "state")
	var tokens, grants, late int
	n := rounds(2, 50)
	for range n {
		w := startWorker(t, dir)
		eventually(t, "enough is acknowledged", func() bool {
			tokens, grants, _, _ := w.counts()
			return tokens >= 10 && grants >= 10
		})
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		cut := cutPower(t, disk)
		w.kill()
		run(t, "umount", disk)
		run(t, "mount", device, disk)
		wantAcked(t, dir, cut, w)
		moreTokens, moreGrants, _, _ := w.counts()
		tokens, grants = tokens+moreTokens, grants+moreGrants
		_, more := w.acked(cut)
		late += more
	}
	if tokens < 10*n || grants < 10*n {
		t.Errorf("only %d tokens and %d grants were acknowledged: too few for the test", tokens, grants)
	}
	broken, err := filepath.Glob(filepath.Join(dir, "*.broken-*"))
	if err != nil || len(broken) > 0 {
		t.Errorf("treated as damage: %v, %v", broken, err)
	}
	t.Logf("%d power cuts, %d tokens and %d grants acknowledged, %d of all after the cut", n, tokens, grants, late)
}

// TestPowerCutsCopies cuts the power while copies are stored, which do not wait for the disk. A
// number that was put remains, and so does all that was copied before it. No loss is reported.
func TestPowerCutsCopies(t *testing.T) {
	device, disk := mountDisk(t)
	dir := filepath.Join(disk, "state")
	for range rounds(2, 50) {
		cmd := child(t, "follow", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var put atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
					put.Store(n)
				}
			}
		}()
		eventually(t, "something was put", func() bool { return put.Load() > 100 })
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		least := put.Load()
		cutPower(t, disk)
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		run(t, "umount", disk)
		run(t, "mount", device, disk)
		s, err := Open(Config{Dir: dir, Key: key1})
		if err != nil {
			t.Fatal(err)
		}
		stored := contents(t, s, record.Credentials)
		number := func(key string) (n int64) { _, _ = fmt.Sscan(stored[key], &n); return n }
		position := number("position")
		if position < least {
			t.Errorf("got position %d, want at least %d", position, least)
		}
		for n := position - 99; n <= position; n++ {
			if got := number(fmt.Sprint("copy", n%100)); got < n {
				t.Errorf("got copy %d, want at least %d at position %d", got, n, position)
			}
		}
		if n := s.Missing(); n != 0 {
			t.Errorf("missing: %d", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// mountDisk mounts a loop device for the test and returns the device and its path.
func mountDisk(t *testing.T) (device, disk string) {
	t.Helper()
	needRoot(t)
	needTools(t, "mkfs.ext4", "mount", "losetup")
	if testing.Short() {
		t.Skip("needs a loop device")
	}
	image, disk := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", image)
	device = loopDevice(t, image)
	run(t, "mount", device, disk)
	// A test that remounts it may have left it unmounted.
	t.Cleanup(func() { _ = unix.Unmount(disk, 0) })
	return device, disk
}

// loopDevice returns a device on image that lasts until the test ends. A device that mount creates
// by itself disappears some time after the unmount. The next mount could get it while it
// disappears, and would read EIO.
func loopDevice(t *testing.T, image string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		lacking(t, "a loop device: "+string(out))
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return device
}

// fiFreeze and fiThaw are FIFREEZE and FITHAW of linux/fs.h. Between them, writers to the file
// system block.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// TestDiskHangs: readers do not wait for a commit that hangs on the disk.
func TestDiskHangs(t *testing.T) {
	_, disk := mountDisk(t)
	s := newTestStore(t, Config{Dir: filepath.Join(disk, "state"), minFree: 1 << 20})
	for i := range 10 {
		mustPut(t, s, grant(fmt.Sprint("given", i), "1"), rec(fmt.Sprint("fetched", i), "1"))
	}
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), fiFreeze, 0); err != nil {
		t.Fatal(err)
	}
	thaw := sync.OnceFunc(func() {
		if err := unix.IoctlSetInt(int(f.Fd()), fiThaw, 0); err != nil {
			t.Error(err)
		}
	})
	defer thaw()
	put := make(chan error, 1)
	go func() { put <- s.Put(t.Context(), rec("fetched0", "2")) }()
	select {
	case err := <-put:
		t.Fatalf("Put returned on a hanging disk: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for i := range 10 {
			if r, err := s.Get(record.Grants, fmt.Sprint("given", i)); err != nil || string(r.Value) != "1" {
				t.Errorf("got %q, %v", r.Value, err)
			}
		}
		if got := contents(t, s, record.Credentials); len(got) != 10 || got["fetched0"] != "1" {
			t.Errorf("got %v", got)
		}
	}()
	select {
	case <-read:
	case <-time.After(time.Minute):
		t.Error("a reader waits for the disk")
	}
	thaw()
	<-read
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	if r, err := s.Get(record.Credentials, "fetched0"); err != nil || string(r.Value) != "2" {
		t.Errorf("got %q, %v", r.Value, err)
	}
}

// cutPower makes the file system drop unwritten data, and returns when that began. The kernel may
// report a concurrent sync as successful, which a power cut would not. Later acknowledgements
// therefore do not count.
func cutPower(t *testing.T, disk string) time.Time {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, ext4NoFlush); err != nil {
		t.Fatal(err)
	}
	return began
}
