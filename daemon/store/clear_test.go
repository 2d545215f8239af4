package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// sealHere writes the header of a store sealed with key1 into the store of c.
func sealHere(t *testing.T, c Config) {
	t.Helper()
	putHeader(t, c, newHeader(mustSealer(t, key1)))
}

func mustSealer(t *testing.T, key []byte) sealer {
	t.Helper()
	s, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func putHeader(t *testing.T, c Config, h header) {
	t.Helper()
	if err := writeHeader(stateDir(c.Dir).current(), h); err != nil {
		t.Fatal(err)
	}
}

// plantStore replaces the database of a store by one in clear, without its header if bare.
func plantStore(bare bool) func(*testing.T, Config) {
	return func(t *testing.T, c Config) {
		other, at := Config{Dir: newStateDir(t)}, stateDir(c.Dir).current()
		filled(t, other, rec("a", "planted"), grant("g", "planted"))
		if err := errors.Join(os.RemoveAll(at), os.Rename(stateDir(other.Dir).current(), at)); err != nil {
			t.Fatal(err)
		}
		if bare {
			if err := os.Remove(filepath.Join(at, headerFile)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestClearRefused opens stores that are wholly or partly in clear with a key. They were created
// before there was a key, or by somebody without the key.
func TestClearRefused(t *testing.T) {
	lose := func(names ...string) func(*testing.T, Config) {
		return func(t *testing.T, c Config) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(c.Dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const header1 = "store/" + headerFile
	clearHeader := func(t *testing.T, c Config) { putHeader(t, c, header{}) }
	for _, test := range []struct {
		name      string
		key       []byte // of the original store
		change    func(*testing.T, Config)
		text      string
		untouched bool
		accepted  bool // AcceptClear seals it
	}{
		{"a store", nil, lose(), "tokend rekey --seal", true, true},
		{"a store without its header", nil, lose(header1), "tokend rekey --seal", true, true},
		{"a store without header and journal", nil, lose(header1, "grants.journal"), "tokend rekey --seal", false, true},
		{"a journal alone", nil, lose("store"), "tokend rekey --seal", true, true},
		{"records under a sealed header", nil, func(t *testing.T, c Config) {
			sealHere(t, c)
			lose("grants.journal")(t, c)
		}, "HEADER", false, false},
		{"the header of a sealed store", key1, clearHeader, "HEADER", true, false},
		{"the header of a sealed store without a journal", key1, func(t *testing.T, c Config) {
			clearHeader(t, c)
			lose("grants.journal")(t, c)
		}, "in clear", true, false},
		{"the journal of a sealed store", key1, func(t *testing.T, c Config) {
			other := Config{Dir: newStateDir(t)}
			filled(t, other, grant("g", "planted"))
			if err := os.Rename(stateDir(other.Dir).journal(), stateDir(c.Dir).journal()); err != nil {
				t.Fatal(err)
			}
		}, "grants.journal", true, false},
		{"a database and a header beside a sealed journal", key1, plantStore(false), "HEADER", true, false},
		{"a database beside a sealed journal", key1, plantStore(true), "is sealed, but the store is in clear", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Config{Dir: newStateDir(t), Key: test.key}
			filled(t, c, grant("g", "1"), rec("a", "1"))
			test.change(t, c)
			c.Key = key1
			before := files(t, c.Dir)
			_, err := Open(c)
			if !errors.Is(err, ErrClear) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want ErrClear in one line with %q", err, test.text)
			}
			if test.untouched {
				wantUntouched(t, c.Dir, before)
			}
			c.AcceptClear = true
			s, err := Open(c)
			if !test.accepted {
				if !errors.Is(err, ErrClear) {
					t.Errorf("with AcceptClear: got %v, want ErrClear", err)
				}
				if aside, _ := filepath.Glob(filepath.Join(c.Dir, "*.broken-*")); len(aside) > 0 {
					t.Errorf("treated as damage: %v", aside)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantTable(t, s, record.Grants, map[string]string{"g": "1"})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.AcceptClear = false
			wantTable(t, newTestStore(t, c), record.Grants, map[string]string{"g": "1"})
		})
	}
	t.Run("a replaced header is recreated", func(t *testing.T) {
		c := Config{Dir: newStateDir(t), Key: key1}
		filled(t, c, rec("a", "1"))
		clearHeader(t, c)
		lose(header1)(t, c)
		reopened(t, c, map[string]string{"a": "1"})
	})
	t.Run("a reopened database", func(t *testing.T) {
		s := newTestStore(t, Config{Key: key1})
		planted := Config{Dir: newStateDir(t)}
		filled(t, planted, rec("a", "planted"))
		if _, err := openDatabase(stateDir(planted.Dir).current(), s.sealer, s.log); !errors.Is(err, ErrClear) {
			t.Errorf("got %v, want ErrClear", err)
		}
	})
	t.Run("a change of the key", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		filled(t, c, rec("a", "1"))
		c.Key = key1
		before := files(t, c.Dir)
		if err := Rekey(t.Context(), c, key2); !errors.Is(err, ErrClear) {
			t.Errorf("got %v, want ErrClear", err)
		}
		wantUntouched(t, c.Dir, before)
		c.AcceptClear = true
		if err := Rekey(t.Context(), c, key2); err != nil {
			t.Error(err)
		}
		reopened(t, Config{Dir: c.Dir, Key: key2}, map[string]string{"a": "1"})
	})
	t.Run("a store read during the comparison", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		filled(t, c, rec("a", "1"))
		reopened(t, Config{Dir: c.Dir, Key: key1, AcceptClear: true, Ahead: true}, map[string]string{"a": "1"})
		reopened(t, Config{Dir: c.Dir, Key: key1}, map[string]string{"a": "1"})
	})
	t.Run("a backup", func(t *testing.T) {
		backup, _, _ := backedUp(t, nil)
		wantRefused(t, key1, backup, ErrClear)
	})
	t.Run("a backup whose header was replaced", func(t *testing.T) {
		backup, _, _ := backedUp(t, key1)
		_, records, _ := bytes.Cut(backup, []byte("\ncrc32 "))
		_, records, _ = bytes.Cut(records, []byte("\n"))
		backup = append(header{title: backupTitle}.encode(), records...)
		wantRefused(t, key1, backup, ErrClear)
		c := Config{Dir: newStateDir(t), Key: key1, AcceptClear: true}
		if err := Restore(c, bytes.NewReader(backup)); !errors.Is(err, ErrBackup) {
			t.Errorf("with AcceptClear: got %v, want ErrBackup", err)
		}
	})
	t.Run("a record of a backup", func(t *testing.T) {
		s := mustSealer(t, key1)
		var b bytes.Buffer
		out := newBackupWriter(&b)
		h := newHeader(s)
		h.title = backupTitle
		_, _ = out.Write(h.encode())
		_ = out.record([]byte("grant\x00a"), sealer{}.sealNumbered(nil, []byte("planted"), 7))
		_ = out.end(s, 9)
		wantRefused(t, key1, b.Bytes(), ErrBackup)
	})
}

// sealOnce seals the store in clear in dir, as tokend rekey --seal does.
func sealOnce(dir string) error {
	return onOneThread(func() error {
		return Rekey(context.Background(), Config{Dir: dir, Key: key2, AcceptClear: true}, key2)
	})
}
