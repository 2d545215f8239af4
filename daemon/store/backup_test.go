package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tokend/daemon/record"
)

// backedUp returns a backup of a store with grants, credentials and a pending record.
func backedUp(t *testing.T, key []byte) (backup []byte, grants, credentials map[string]string) {
	t.Helper()
	c, grants, credentials := rekeyed(t, key)
	s := newTestStore(t, c)
	var b bytes.Buffer
	s.fillDisk(t, func() {
		mustPut(t, s, grant("name00", "pending"), grant("name50", "pending"), gone(grant("name01", "")), rec("name00", "pending"))
		if err := s.Backup(&b); err != nil {
			t.Fatal(err)
		}
	})
	grants["name00"], grants["name50"], credentials["name00"] = "pending", "pending", "pending"
	delete(grants, "name01")
	return b.Bytes(), grants, credentials
}

func TestBackupAndRestore(t *testing.T) {
	for _, test := range []struct {
		name   string
		of, to []byte
	}{
		{"clear", nil, nil},
		{"sealed", key1, key1},
		{"clear, sealed on restore", nil, key2},
	} {
		t.Run(test.name, func(t *testing.T) {
			backup, grants, credentials := backedUp(t, test.of)
			if got, want := bytes.Contains(backup, []byte(canary)), test.of == nil; got != want {
				t.Errorf("in clear: got %t, want %t", got, want)
			}
			c := Config{Dir: newStateDir(t), Key: test.to, AcceptClear: true}
			if err := Restore(c, bytes.NewReader(backup)); err != nil {
				t.Fatal(err)
			}
			if test.to != nil && anyFileHas(t, c.Dir, canary) {
				t.Error("something is in clear")
			}
			log, said := logged()
			c.Logger = log
			if missing := wantState(t, c, grants, nil, credentials).Missing(); missing != 0 {
				t.Errorf("missing: got %d, want 0", missing)
			}
			if strings.Contains(said.String(), "[WARN]") || strings.Contains(said.String(), "[ERROR]") {
				t.Errorf("log: want no warning, got\n%s", said)
			}
			if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
				t.Fatal(err)
			}
			wantState(t, c, grants, nil, nil) // from the journal
		})
	}
}

func TestBackupOfOneMoment(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := fmt.Sprint(i)
			// They differ in a backup that mixes two moments.
			if err := s.Put(t.Context(), grant("a", v), rec("m", v), grant("z", v)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for range 5 {
		var b bytes.Buffer
		if err := s.Backup(&b); err != nil {
			t.Fatal(err)
		}
		c := Config{Dir: newStateDir(t), Key: key1}
		if err := Restore(c, &b); err != nil {
			t.Fatal(err)
		}
		copied := newTestStore(t, c)
		a, _ := copied.Get(record.Grants, "a")
		m, _ := copied.Get(record.Credentials, "m")
		z, err := copied.Get(record.Grants, "z")
		if err != nil || !bytes.Equal(a.Value, z.Value) || !bytes.Equal(a.Value, m.Value) {
			t.Errorf("got %s, %s and %s, %v", a.Value, m.Value, z.Value, err)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	sealed, _, _ := backedUp(t, key1)
	clear, _, _ := backedUp(t, nil)
	other, _, _ := backedUp(t, key1)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)/2] ^= 1
	var miscounted, huge bytes.Buffer
	out := newBackupWriter(&miscounted)
	_, _ = out.Write(header{title: backupTitle}.encode())
	_ = out.record([]byte("grant\x00a"), sealer{}.sealNumbered(nil, []byte("value"), 7))
	out.count++
	_ = out.end(sealer{}, 9)
	huge.Write(header{title: backupTitle}.encode())
	huge.Write(binary.AppendUvarint(nil, 1<<62))
	for _, test := range []struct {
		name   string
		key    []byte
		backup []byte
		want   error
	}{
		{"nothing", nil, nil, ErrBackup},
		{"a wrong count", nil, miscounted.Bytes(), ErrBackup},
		{"a field of many exabytes", nil, huge.Bytes(), ErrBackup},
		{"something else", nil, []byte("one\ntwo\nthree\n"), ErrBackup},
		{"a store's header", nil, header{}.encode(), ErrVersion},
		{"a wrong key", key2, sealed, ErrKey},
		{"no key", nil, sealed, ErrKey},
		{"a flipped bit", key1, flipped, ErrBackup},
		{"two in one", key1, append(bytes.Clone(sealed[:len(sealed)/2]), other[len(sealed)/2:]...), ErrBackup},
		{"trailing data", nil, append(bytes.Clone(clear), 'x'), ErrBackup},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantRefused(t, test.key, test.backup, test.want)
		})
	}
	t.Run("truncated anywhere", func(t *testing.T) {
		for _, n := range []int{1, 20, 60, 150, len(clear) / 2, len(clear) - 50, len(clear) - 1} {
			wantRefused(t, nil, clear[:n], ErrBackup)
			wantRefused(t, key1, sealed[:n], ErrBackup)
		}
	})
	t.Run("a directory that is not empty", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		filled(t, c, rec("a", "1"))
		before := files(t, c.Dir)
		if err := Restore(c, bytes.NewReader(clear)); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("got %v, want ErrNotEmpty", err)
		}
		wantUntouched(t, c.Dir, before)
		c.Dir = newStateDir(t)
		if err := os.Mkdir(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.Dir, "one"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Restore(c, bytes.NewReader(clear)); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("one file: got %v, want ErrNotEmpty", err)
		}
	})
}

// TestBackupNumber: a backup contains the number of the last commit, even if only the journal has
// that commit.
func TestBackupNumber(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	mustPut(t, s, rec("a", "1"))
	var b bytes.Buffer
	s.fillDisk(t, func() {
		mustPut(t, s, grant("g", "1"))
		if err := s.Backup(&b); err != nil {
			t.Fatal(err)
		}
	})
	in, err := newBackupReader(&b, s.sealer, false)
	var last uint64
	for err == nil {
		var number uint64
		_, _, number, err = in.next()
		last = max(last, number)
	}
	if !errors.Is(err, io.EOF) || last == 0 || in.last < last {
		t.Errorf("got %d as the last commit, %v; the grant is of %d", in.last, err, last)
	}
}

// wantRefused checks that a backup is rejected and leaves nothing behind.
func wantRefused(t *testing.T, key, backup []byte, want error) {
	t.Helper()
	c := Config{Dir: newStateDir(t), Key: key}
	if err := Restore(c, bytes.NewReader(backup)); !errors.Is(err, want) {
		t.Errorf("%d bytes: got %v, want %v", len(backup), err, want)
	}
	if left, err := os.ReadDir(c.Dir); err == nil && len(left) > 0 {
		t.Errorf("%d bytes: %s is left behind", len(backup), left[0].Name())
	}
}

func TestRestoreInterrupted(t *testing.T) {
	backup, grants, credentials := backedUp(t, key1)
	setUp := func(t *testing.T) (Config, stateDir) {
		c := Config{Dir: newStateDir(t), Key: key1}
		if err := prepareDir(c.Dir); err != nil {
			t.Fatal(err)
		}
		seal, err := newSealer(key1)
		if err != nil {
			t.Fatal(err)
		}
		in, err := newBackupReader(bytes.NewReader(backup), seal, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := stateDir(c.Dir).restoring().unpack(in, seal, c.logger()); err != nil {
			t.Fatal(err)
		}
		return c, stateDir(c.Dir)
	}
	t.Run("before anything was moved", func(t *testing.T) {
		c, _ := setUp(t)
		if err := Restore(c, bytes.NewReader(backup)); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, grants, nil, credentials)
	})
	t.Run("before anything was moved, and the daemon is started", func(t *testing.T) {
		c, _ := setUp(t)
		log, said := logged()
		c.Logger = log
		wantState(t, c, nil, nil, nil)
		if !strings.Contains(said.String(), "restore the backup again") {
			t.Errorf("log: want the failed restore, got\n%s", said)
		}
	})
	t.Run("before its journal was made", func(t *testing.T) {
		c, p := setUp(t)
		remove(t, p.restoring().journal())
		wantState(t, c, nil, nil, nil)
	})
	t.Run("between journal and database", func(t *testing.T) {
		c, p := setUp(t)
		if err := os.Rename(p.restoring().journal(), p.journal()); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, grants, nil, credentials)
	})
	t.Run("after both", func(t *testing.T) {
		c, p := setUp(t)
		if err := errors.Join(os.Rename(p.restoring().journal(), p.journal()), os.Rename(p.restoring().current(), p.current())); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, grants, nil, credentials)
		if exists(string(p.restoring())) {
			t.Error("restore.tmp is left behind")
		}
	})
}

func TestBackupWriteError(t *testing.T) {
	c, _, _ := rekeyed(t, nil)
	s := newTestStore(t, c)
	r, w := io.Pipe()
	_ = r.Close()
	if err := s.Backup(w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the error of the writer", err)
	}
}

// FuzzRestore restores any bytes: only a complete backup is accepted, without a panic and within
// the memory limits.
func FuzzRestore(f *testing.F) {
	w := &bytes.Buffer{}
	out := newBackupWriter(w)
	_, _ = out.Write(header{title: backupTitle}.encode())
	_ = out.record([]byte("grant\x00a"), sealer{}.sealNumbered(nil, []byte("value"), 7))
	_ = out.record([]byte("hold\x00b"), sealer{}.seal(nil, []byte("value")))
	_ = out.end(sealer{}, 9)
	f.Add(w.Bytes())
	f.Add(w.Bytes()[:w.Len()-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := newBackupReader(bytes.NewReader(b), sealer{}, false)
		if err != nil {
			return
		}
		var again bytes.Buffer
		out := newBackupWriter(&again)
		_, _ = out.Write(header{title: backupTitle}.encode())
		for {
			key, value, number, err := in.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if len(key) == 0 || len(key) > MaxKey || number > 0 && value == nil {
				t.Fatalf("got key %q, value %q, number %d", key, value, number)
			}
			_ = out.record(key, value)
		}
		if in.count != out.count {
			t.Errorf("got %d records, counted %d", out.count, in.count)
		}
	})
}

// TestRestoreMarked: only a store created from a backup has the mark.
func TestRestoreMarked(t *testing.T) {
	marked := func(c Config) bool {
		t.Helper()
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r, err := s.Get(record.Keys, record.Restored)
		if err != nil {
			t.Fatal(err)
		}
		return r.Value != nil
	}
	for name, key := range map[string][]byte{"clear": nil, "sealed": key1} {
		t.Run(name, func(t *testing.T) {
			if marked(Config{Dir: newStateDir(t), Key: key}) {
				t.Error("a new store is marked as restored")
			}
			backup, _, _ := backedUp(t, key)
			c := Config{Dir: newStateDir(t), Key: key}
			if err := Restore(c, bytes.NewReader(backup)); err != nil {
				t.Fatal(err)
			}
			if !marked(c) {
				t.Error("a restored store is not marked")
			}
		})
	}
}
