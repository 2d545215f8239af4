package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tokend/daemon/record"
)

// rekeyOnce changes the key of the store in dir from key1 to key2.
func rekeyOnce(dir string) error {
	return onOneThread(func() error { return Rekey(context.Background(), Config{Dir: dir, Key: key1}, key2) })
}

// onOneThread runs f on one thread, so that a tracer can count its system calls.
func onOneThread(f func() error) error {
	runtime.LockOSThread()
	fmt.Println("ready")
	return f()
}

// rekeyed fills a store for tests that change the key.
func rekeyed(t *testing.T, key []byte) (c Config, grants, credentials map[string]string) {
	t.Helper()
	c = Config{Dir: newStateDir(t), Key: key}
	grants, credentials = map[string]string{}, map[string]string{}
	var recs []record.Record
	for i := range 50 {
		k := fmt.Sprintf("name%02d", i)
		grants[k], credentials[k] = "grant "+canary+k, "token "+canary+k
		recs = append(recs, grant(k, grants[k]), rec(k, credentials[k]))
	}
	filled(t, c, recs...)
	filled(t, c, recs[:4]...) // so that a log has records that are not in a table
	return c, grants, credentials
}

const canary = "canary-value-7f3a"

func TestRekey(t *testing.T) {
	for name, old := range map[string][]byte{"sealed": key1, "clear": nil} {
		t.Run(name, func(t *testing.T) {
			c, grants, credentials := rekeyed(t, old)
			log, said := logged()
			c.Logger = log
			if err := Rekey(t.Context(), c, key2); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(said.String(), "lacked") {
				t.Errorf("the new database and the new journal are not of the same commits:\n%s", said)
			}
			if anyFileHas(t, c.Dir, canary) {
				t.Error("something is in clear")
			}
			before := files(t, c.Dir)
			for _, wrong := range [][]byte{key1, nil} {
				if _, err := Open(Config{Dir: c.Dir, Key: wrong}); !errors.Is(err, ErrKey) {
					t.Errorf("another key: got %v, want ErrKey", err)
				}
			}
			wantUntouched(t, c.Dir, before)
			c.Key = key2
			wantState(t, c, grants, nil, credentials)
			// The journal has been resealed too: it must suffice alone.
			if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
				t.Fatal(err)
			}
			wantState(t, c, grants, nil, nil)
			left, err := filepath.Glob(filepath.Join(c.Dir, "*.n*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestRekeyRefuses(t *testing.T) {
	c, grants, credentials := rekeyed(t, key1)
	before := files(t, c.Dir)
	if err := Rekey(t.Context(), c, nil); !errors.Is(err, ErrKey) {
		t.Errorf("to no key: got %v, want ErrKey", err)
	}
	if err := Rekey(t.Context(), Config{Dir: c.Dir, Key: key2}, key2[:5]); !errors.Is(err, ErrKey) {
		t.Errorf("to a short key: got %v, want ErrKey", err)
	}
	third := append([]byte{9}, key1[1:]...)
	if err := Rekey(t.Context(), Config{Dir: c.Dir, Key: key2}, third); !errors.Is(err, ErrKey) {
		t.Errorf("from a wrong key: got %v, want ErrKey", err)
	}
	wantUntouched(t, c.Dir, before)
	s := newTestStore(t, c)
	if err := Rekey(t.Context(), c, key2); !errors.Is(err, ErrLocked) {
		t.Errorf("of an open store: got %v, want ErrLocked", err)
	}
	wantTable(t, s, record.Grants, grants)
	wantTable(t, s, record.Credentials, credentials)
}

// rekeyings are the changes of a key that are killed: the child that changes to key2, and the old
// key.
var rekeyings = []struct {
	child string
	old   []byte
}{{"rekey", key1}, {"seal", nil}}

// wantEitherKey checks that the complete store opens with exactly one of key2 and old, and that the
// change can be finished. It returns which key it was.
func wantEitherKey(t *testing.T, dir string, old []byte, grants, credentials map[string]string) string {
	t.Helper()
	c, state := Config{Dir: dir, Key: key2}, "new"
	s, err := Open(c)
	if old != nil && errors.Is(err, ErrKey) || old == nil && errors.Is(err, ErrClear) {
		c.Key, state = old, "old"
		s, err = Open(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(contents(t, s, record.Grants), grants) || !maps.Equal(contents(t, s, record.Credentials), credentials) || s.Missing() > 0 {
		t.Errorf("the store with the %s key is incomplete", state)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Rekey(t.Context(), Config{Dir: dir, Key: old}, key2); err != nil {
		t.Fatal(err)
	}
	wantState(t, Config{Dir: dir, Key: key2}, grants, nil, credentials)
	return state
}

func TestRekeyKilledAtRandom(t *testing.T) {
	for _, r := range rekeyings {
		t.Run(r.child, func(t *testing.T) {
			c, grants, credentials := rekeyed(t, r.old)
			outcomes := map[string]int{}
			for range rounds(2, 50) {
				dir := newStateDir(t)
				copyState(t, dir, c.Dir)
				cmd := child(t, r.child, dir)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				kill := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
				err := cmd.Wait()
				kill.Stop()
				state := wantEitherKey(t, dir, r.old, grants, credentials)
				if err == nil {
					state = "done"
				}
				outcomes[state]++
			}
			t.Logf("%v", outcomes)
		})
	}
}

// TestRekeyKilledPerStep kills a change of the key at each system call that changes something
// on disk.
func TestRekeyKilledPerStep(t *testing.T) {
	needTools(t, "strace")
	const calls = "renameat,renameat2,rename,unlinkat,unlink,mkdirat,mkdir,fsync,fdatasync,msync,ftruncate,pwrite64,linkat"
	for _, r := range rekeyings {
		t.Run(r.child, func(t *testing.T) {
			c, grants, credentials := rekeyed(t, r.old)
			outcomes := map[string]int{}
			// Without -faults only a few, some of them near the end, where the renames are.
			for n := 1; ; n += rounds(15, 1) {
				dir := newStateDir(t)
				copyState(t, dir, c.Dir)
				out := filepath.Join(t.TempDir(), "trace")
				cmd := child(t, r.child, dir, "strace", "-f", "-qq", "-o", out, "-e", "trace="+calls,
					"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n))
				err := cmd.Run()
				if trace, e := os.ReadFile(out); e != nil || len(trace) == 0 || strings.Contains(string(trace), "ptrace") {
					lacking(t, "strace of a process of its own")
				}
				state := wantEitherKey(t, dir, r.old, grants, credentials)
				if err == nil {
					state = "done"
				}
				outcomes[state]++
				if err == nil {
					break
				}
			}
			if outcomes["old"] == 0 || *faults && outcomes["new"] == 0 {
				t.Errorf("%v: want kills before and after the change", outcomes)
			}
			t.Logf("%v", outcomes)
		})
	}
}
