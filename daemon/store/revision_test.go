package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// at returns r as a copy of a revision.
func at(revision int64, r record.Record) record.Record {
	r.Revision = revision
	return r
}

// wantRevisions checks values and revisions of the credentials and grants of s, by each way to read
// them. They read key=value@revision.
func wantRevisions(t *testing.T, s refresh.Store, want ...string) {
	t.Helper()
	for _, read := range []string{"All", "GetEach", "Get"} {
		var got []string
		for _, table := range []record.Table{record.Credentials, record.Grants} {
			all := s.All(table)
			if read != "All" {
				all = s.GetEach(table, []string{"a", "b", "c", "d", "e"})
			}
			for r, err := range all {
				if read == "Get" && err == nil {
					r, err = s.Get(table, r.Key)
				}
				if err != nil {
					t.Fatalf("%s: %v", read, err)
				}
				if r.Value != nil {
					got = append(got, fmt.Sprintf("%s=%s@%d", r.Key, r.Value, r.Revision))
				} else if r.Revision != 0 {
					t.Errorf("%s: %s is absent at revision %d", read, r.Key, r.Revision)
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", read, got, want)
		}
	}
}

// TestRevisions checks that each store returns the revision that was put with a value.
func TestRevisions(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) copier) {
		s := open(t)
		value := []byte("1")
		mustPut(t, s, at(7, record.Record{Table: record.Credentials, Key: "a", Value: value}), at(7, grant("b", "1")), rec("c", "1"))
		if string(value) != "1" {
			t.Errorf("the caller's value is now %q", value)
		}
		mustPut(t, s, at(9, rec("d", "")), grant("e", "1"))
		wantRevisions(t, s, "a=1@7", "b=1@7", "c=1@0", "d=@9", "e=1@0")
		mustPut(t, s, rec("a", "2"), at(1<<62, grant("b", "2")), at(8, rec("c", "1")), at(10, gone(rec("d", ""))), at(10, gone(grant("e", ""))))
		wantRevisions(t, s, "a=2@0", fmt.Sprintf("b=2@%d", int64(1<<62)), "c=1@8")
	})
}

// TestRevisionsSurvive checks that revisions survive everything that copies records.
func TestRevisionsSurvive(t *testing.T) {
	want := []string{"a=1@7", "b=1@8", "c=1@0", "d=1@0"}
	fill := func(t *testing.T, c Config) *Store {
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, at(7, rec("a", "1")), at(8, grant("b", "1")), rec("c", "1"), grant("d", "1"))
		return s
	}
	check := func(t *testing.T, c Config, want ...string) {
		t.Helper()
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		wantRevisions(t, s, want...)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	eachKey(t, func(t *testing.T, key []byte) {
		c := Config{Dir: newStateDir(t), Key: key}
		s := fill(t, c)
		var backup bytes.Buffer
		if err := errors.Join(s.Backup(&backup), s.Close()); err != nil {
			t.Fatal(err)
		}
		t.Run("restart", func(t *testing.T) { check(t, c, want...) })
		t.Run("loss of the database", func(t *testing.T) {
			if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
				t.Fatal(err)
			}
			check(t, c, "b=1@8", "d=1@0")
		})
		t.Run("backup", func(t *testing.T) {
			restored := Config{Dir: newStateDir(t), Key: key}
			if err := Restore(restored, bytes.NewReader(backup.Bytes())); err != nil {
				t.Fatal(err)
			}
			check(t, restored, want...)
		})
	})
	t.Run("change of the key", func(t *testing.T) {
		c := Config{Dir: newStateDir(t), Key: key1}
		if err := fill(t, c).Close(); err != nil {
			t.Fatal(err)
		}
		if err := Rekey(t.Context(), c, key2); err != nil {
			t.Fatal(err)
		}
		c.Key = key2
		check(t, c, want...)
	})
}

// TestRevisionFormat checks what is stored: nothing new without a revision, and otherwise what a
// tokend that does not know revisions reports as newer.
func TestRevisionFormat(t *testing.T) {
	grant := record.Grant{Name: "g", Generation: record.Generation{Value: "v"}}.Encode()
	for _, r := range []record.Record{grant, at(7, gone(grant)), {Table: record.Grants, Key: "g", Value: []byte{}}} {
		if got := withRevisions([]record.Record{r})[0].Value; !bytes.Equal(got, r.Value) || (got == nil) != (r.Value == nil) {
			t.Errorf("%x at %d: stored %x", r.Value, r.Revision, got)
		}
	}
	stored := record.Record{Table: grant.Table, Key: grant.Key, Value: withRevisions([]record.Record{at(7, grant)})[0].Value}
	if _, err := record.DecodeGrant(stored); !errors.Is(err, record.ErrVersion) {
		t.Errorf("decoded as it is stored: got %v, want %v", err, record.ErrVersion)
	}
	var r record.Record
	for n := range revisionSize {
		if setValue(&r, stored.Value[:n]); r.Revision != 0 || len(r.Value) != n {
			t.Errorf("cut after %d bytes: got revision %d, %x", n, r.Revision, r.Value)
		}
	}
	if setValue(&r, stored.Value); r.Revision != 7 || !bytes.Equal(r.Value, grant.Value) {
		t.Errorf("got revision %d, %x", r.Revision, r.Value)
	}
}
