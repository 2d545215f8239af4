package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// stopper is a log that blocks at a line with a given word until release.
type stopper struct {
	word    string
	reached chan struct{} // closed at that line
	release chan struct{}
}

func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.word) {
		close(s.reached)
		<-s.release
	}
	return len(p), nil
}

// hasAgreed reports whether the reconciliation has ended.
func (s *Store) hasAgreed() bool {
	select {
	case <-s.reconciliation.reached:
		return true
	default:
		return false
	}
}

// damagedJournal creates a store of three grants and a credential, closes it, and damages the
// journal in a place that its end does not reveal.
func damagedJournal(t *testing.T, c Config) {
	t.Helper()
	s := newTestStore(t, c)
	mustPut(t, s, rec("token", "t"))
	for i := range 3 {
		mustPut(t, s, grant(fmt.Sprint("g", i), strings.Repeat("v", 1000)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir, "grants.journal")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReadDuringCompare: after a clean shutdown, records are read at once. Writes, and iterations
// over tables that the journal also has, wait for the reconciliation.
func TestReadDuringCompare(t *testing.T) {
	eachKey(t, func(t *testing.T, key []byte) {
		c := Config{Dir: newStateDir(t), Key: key}
		damagedJournal(t, c)
		stop := &stopper{"the grant journal is damaged", make(chan struct{}), make(chan struct{})}
		c.Ahead, c.Logger = true, hclog.New(&hclog.LoggerOptions{Output: stop})
		s := newTestStore(t, c)
		<-stop.reached
		if s.hasAgreed() {
			t.Fatal("compared before the journal was read")
		}
		for _, want := range []record.Record{rec("token", "t"), grant("g1", strings.Repeat("v", 1000))} {
			if got, err := s.Get(want.Table, want.Key); err != nil || string(got.Value) != string(want.Value) {
				t.Errorf("%s: got %q, %v", want.Key, got.Value, err)
			}
		}
		wantTable(t, s, record.Credentials, map[string]string{"token": "t"})
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := s.Put(soon, grant("g1", "another")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Put: got %v, want it to wait", err)
		}
		if err := s.Agree(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Agree: got %v, want it to wait", err)
		}
		grants, backup := make(chan int), make(chan error, 1)
		go func() { grants <- len(contents(t, s, record.Grants)) }()
		go func() { backup <- s.Backup(io.Discard) }()
		put := make(chan error, 1)
		go func() { put <- s.Put(context.Background(), grant("g3", "new")) }()
		early := ""
		select {
		case n := <-grants:
			early = fmt.Sprint(n, " grants")
		case err := <-backup:
			early = fmt.Sprint("a backup: ", err)
		case err := <-put:
			early = fmt.Sprint("a Put: ", err)
		case <-time.After(10 * time.Millisecond):
		}
		close(stop.release)
		if early != "" {
			t.Fatal("before the reconciliation:  " + early)
		}
		if err := s.Agree(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := <-grants; n < 3 {
			t.Errorf("got %d grants, want 3 at least", n)
		}
		if err := errors.Join(<-put, <-backup, s.Close()); err != nil {
			t.Error(err)
		}
		// The journal has been rewritten and alone has all of them.
		if err := os.RemoveAll(filepath.Join(c.Dir, "store")); err != nil {
			t.Fatal(err)
		}
		v := strings.Repeat("v", 1000)
		wantState(t, Config{Dir: c.Dir, Key: key}, map[string]string{"g0": v, "g1": v, "g2": v, "g3": "new"}, map[string]string{}, map[string]string{})
	})
}

// TestCompareFirst: a store is compared before it is read if the shutdown was not clean, or if the
// journal does not match the database.
func TestCompareFirst(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, dir, before string){
		"killed": func(t *testing.T, dir, _ string) {
			killed := crashed(t, key1, 10)
			for _, f := range []string{"store", "grants.journal"} {
				if err := errors.Join(os.RemoveAll(filepath.Join(dir, f)), os.Rename(filepath.Join(killed, f), filepath.Join(dir, f))); err != nil {
					t.Fatal(err)
				}
			}
		},
		"an older database": func(t *testing.T, dir, before string) {
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, "store")), os.Rename(filepath.Join(before, "store"), filepath.Join(dir, "store"))); err != nil {
				t.Fatal(err)
			}
		},
		"no database": func(t *testing.T, dir, _ string) {
			if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
				t.Fatal(err)
			}
		},
		"no journal": func(t *testing.T, dir, _ string) { remove(t, filepath.Join(dir, "grants.journal")) },
		"a torn journal": func(t *testing.T, dir, _ string) {
			path := filepath.Join(dir, "grants.journal")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			truncate(t, path, info.Size()-1)
		},
		"a lost header": func(t *testing.T, dir, _ string) { truncate(t, filepath.Join(dir, "store", headerFile), 10) },
		"no header":     func(t *testing.T, dir, _ string) { remove(t, filepath.Join(dir, "store", headerFile)) },
		"lost commits": func(t *testing.T, dir, _ string) {
			m, last, _, err := openMark(filepath.Join(dir, "store"))
			if err := errors.Join(err, m.set(last+1), m.close()); err != nil {
				t.Fatal(err)
			}
		},
		"a journal whose last entry is far from its end": func(t *testing.T, dir, _ string) {
			s := newTestStore(t, Config{Dir: dir, Key: key1})
			var frames []int64
			put := func(r record.Record) {
				end, _ := s.journal.Grown()
				frames = append(frames, end)
				mustPut(t, s, r)
			}
			for i := range 25 {
				put(grant(fmt.Sprint("more", i), strings.Repeat("v", journal.MaxPayload/20)))
			}
			put(grant("g", "not yet new"))
			mustPut(t, s, rec("token", "t")) // after all of these
			s.fillDisk(t, func() {
				mustPut(t, s, grant("g", "new"))
				for _, at := range frames {
					xor(t, stateDir(dir).journal(), at, 1)
				}
				// What is unreadable is taken from the database and comes last.
				if err := errors.Join(s.rewriteJournal(), s.Close()); err != nil {
					t.Fatal(err)
				}
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := Config{Dir: newStateDir(t), Key: key1}
			before := filepath.Join(t.TempDir(), "before")
			filled(t, c, grant("g", "old"), rec("token", "t"))
			copyState(t, before, c.Dir)
			filled(t, c, grant("g", "new"))
			spoil(t, c.Dir, before)
			c.Ahead = true
			s := newTestStore(t, c)
			if !s.hasAgreed() {
				t.Error("read before the comparison")
			}
			if got, err := s.Get(record.Grants, "g"); what != "killed" && (err != nil || string(got.Value) != "new") {
				t.Errorf("got %q, %v", got.Value, err)
			}
		})
	}
	// A clean shutdown is recognized.
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, grant("g", "new"))
	o := opening{at: stateDir(c.Dir)}
	if err := o.keys(c); err != nil {
		t.Fatal(err)
	}
	if last, clean := o.endedCleanly(); !clean || last == 0 {
		t.Errorf("a clean shutdown: got %d, %v", last, clean)
	}
}

// TestAgreeFails: if the reconciliation fails, the store returns the error, accepts nothing, and
// closes.
func TestAgreeFails(t *testing.T) {
	c := Config{Dir: newStateDir(t), Ahead: true}
	damagedJournal(t, c)
	// A directory under the name of the file to be written.
	if err := os.MkdirAll(filepath.Join(c.Dir, "grants.journal.new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Agree(t.Context()); err == nil {
		t.Error("Agree returned no error")
	}
	if err := s.Put(t.Context(), rec("a", "b")); err == nil {
		t.Error("a Put: got no error")
	}
	for _, err := range s.All(record.Grants) {
		if err == nil {
			t.Error("possibly wrong grants are yielded")
		}
	}
	if got, err := s.Get(record.Credentials, "token"); err != nil || string(got.Value) != "t" {
		t.Errorf("got %q, %v", got.Value, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseDuringCompare: a store that is closed at once closes and loses nothing.
func TestCloseDuringCompare(t *testing.T) {
	c := Config{Dir: newStateDir(t)}
	want := map[string]string{}
	var many []record.Record
	for i := range 20 * comparisons {
		want[fmt.Sprint("g", i)] = "v"
		many = append(many, grant(fmt.Sprint("g", i), "v"))
	}
	s := newTestStore(t, c)
	for len(many) > 0 {
		mustPut(t, s, many[:comparisons]...)
		many = many[comparisons:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		s, err := Open(Config{Dir: c.Dir, Ahead: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, c, want, map[string]string{}, map[string]string{})
}
