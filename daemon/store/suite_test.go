package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
)

var (
	_ copier = (*Store)(nil)
	_ copier = (*memstore.Store)(nil)
)

// copier is a store with Copy.
type copier interface {
	refresh.Store
	Copy(ctx context.Context, recs ...record.Record) error
}

func TestStores(t *testing.T) { eachStore(t, testStore) }

// eachStore runs f with each kind of store.
func eachStore(t *testing.T, f func(t *testing.T, open func(*testing.T) copier)) {
	key := bytes.Repeat([]byte{7}, KeySize)
	t.Run("memory", func(t *testing.T) {
		f(t, func(t *testing.T) copier { return new(memstore.Store) })
	})
	t.Run("clear", func(t *testing.T) {
		f(t, func(t *testing.T) copier { return newTestStore(t, Config{}) })
	})
	t.Run("sealed", func(t *testing.T) {
		f(t, func(t *testing.T) copier { return newTestStore(t, Config{Key: key}) })
	})
}

// testStore tests what every store must do.
func testStore(t *testing.T, open func(*testing.T) copier) {
	t.Run("put and read by table", func(t *testing.T) {
		s, ctx := open(t), t.Context()
		mustPut(t, s, rec("a", "1"), rec("b", "2"), record.Record{Table: record.Holds, Key: "a", Value: []byte("hold")})
		mustPut(t, s, rec("a", "3"))
		wantTable(t, s, record.Credentials, map[string]string{"a": "3", "b": "2"})
		wantTable(t, s, record.Holds, map[string]string{"a": "hold"})
		wantTable(t, s, record.Budgets, map[string]string{})
		if err := s.Put(ctx); err != nil {
			t.Errorf("Put of nothing: %v", err)
		}
	})
	t.Run("copies among others", func(t *testing.T) {
		s, ctx := open(t), t.Context()
		for i := range 20 {
			n := fmt.Sprint(i)
			mustPut(t, s, grant("g", n), rec("a", "with "+n))
			if err := s.Copy(ctx, rec("a", n), rec("b", n)); err != nil {
				t.Fatal(err)
			}
			wantTable(t, s, record.Credentials, map[string]string{"a": n, "b": n})
			if err := s.Copy(ctx, rec("b", "with "+n), grant("g", "copy "+n)); err != nil {
				t.Fatal(err)
			}
			wantTable(t, s, record.Credentials, map[string]string{"a": n, "b": "with " + n})
			wantTable(t, s, record.Grants, map[string]string{"g": "copy " + n})
			if err := s.Copy(ctx, record.Record{Table: record.Credentials, Key: "b"}); err != nil {
				t.Fatal(err)
			}
			wantTable(t, s, record.Credentials, map[string]string{"a": n})
		}
	})
	t.Run("get by key", func(t *testing.T) {
		s := open(t)
		mustPut(t, s, rec("a", "1"), record.Record{Table: record.Credentials, Key: "empty", Value: []byte{}})
		for key, want := range map[string]string{"a": "1", "empty": ""} {
			r, err := s.Get(record.Credentials, key)
			if err != nil || r.Value == nil || string(r.Value) != want {
				t.Errorf("Get(%s): got %q, %v; want %q", key, r.Value, err, want)
			}
		}
		for _, table := range []record.Table{record.Credentials, record.Holds} {
			if r, err := s.Get(table, "b"); err != nil || r.Value != nil {
				t.Errorf("Get of a missing key in %s: got %q, %v; want nil", table, r.Value, err)
			}
		}
	})
	t.Run("get many by key, in order", func(t *testing.T) {
		s := open(t)
		mustPut(t, s, rec("a", "1"), rec("c", "3"), grant("b", "of another table"), record.Record{Table: record.Credentials, Key: "empty", Value: []byte{}})
		mustPut(t, s, grant("b", "newer"), grant("d", "1"), gone(grant("d", "")))
		for table, want := range map[record.Table]string{
			record.Credentials: "c=3 none- a=1 empty= a=1 b- d-",
			record.Grants:      "c- none- a- empty- a- b=newer d-",
		} {
			var got []string
			for r, err := range s.GetEach(table, []string{"c", "none", "a", "empty", "a", "b", "d"}) {
				if err != nil || r.Table != table {
					t.Errorf("%s %s: %v", r.Table, r.Key, err)
				}
				if r.Value == nil {
					got = append(got, r.Key+"-")
				} else {
					got = append(got, r.Key+"="+string(r.Value))
				}
			}
			if got := strings.Join(got, " "); got != want {
				t.Errorf("%s: got %s, want %s", table, got, want)
			}
		}
		for range s.GetEach(record.Grants, []string{"b", "a"}) {
			break
		}
		for range s.GetEach(record.Grants, nil) {
			t.Error("GetEach without keys yielded a record")
		}
	})
	t.Run("nil deletes, empty does not", func(t *testing.T) {
		s := open(t)
		mustPut(t, s, rec("a", "1"), rec("b", "2"))
		mustPut(t, s, record.Record{Table: record.Credentials, Key: "a"}, record.Record{Table: record.Credentials, Key: "b", Value: []byte{}})
		mustPut(t, s, record.Record{Table: record.Credentials, Key: "never there"})
		wantTable(t, s, record.Credentials, map[string]string{"b": ""})
	})
	t.Run("values are copied", func(t *testing.T) {
		s := open(t)
		v := []byte("kept")
		mustPut(t, s, record.Record{Table: record.Credentials, Key: "a", Value: v})
		copy(v, "lost")
		for r, err := range s.All(record.Credentials) {
			if err != nil {
				t.Fatal(err)
			}
			_ = append(r.Value, "overrun"...)
			clear(r.Value)
		}
		wantTable(t, s, record.Credentials, map[string]string{"a": "kept"})
		r, err := s.Get(record.Credentials, "a")
		if err != nil {
			t.Fatal(err)
		}
		clear(r.Value)
		wantTable(t, s, record.Credentials, map[string]string{"a": "kept"})
	})
	t.Run("iteration sees a snapshot and may put", func(t *testing.T) {
		s := open(t)
		mustPut(t, s, rec("a", "1"), rec("b", "1"), rec("c", "1"))
		var n int
		for r, err := range s.All(record.Credentials) {
			if err != nil || string(r.Value) != "1" {
				t.Errorf("got %q, %v; want the value of the beginning", r.Value, err)
			}
			mustPut(t, s, rec("a", "2"), rec("b", "2"), rec("c", "2"), rec(fmt.Sprint("d", n), "2"))
			n++
		}
		if n != 3 {
			t.Errorf("got %d records, want 3", n)
		}
		for range s.All(record.Credentials) {
			break // leaving early blocks nothing
		}
		mustPut(t, s, rec("a", "3"))
	})
	t.Run("a canceled context puts nothing", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Put(ctx, rec("a", "1")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		wantTable(t, s, record.Credentials, map[string]string{})
	})
	t.Run("concurrent", func(t *testing.T) {
		s := open(t)
		var wg sync.WaitGroup
		want := make(map[string]string)
		for i := range 200 {
			k := fmt.Sprintf("official_account/wx%03d/access_token", i)
			want[k] = k
			wg.Go(func() {
				if err := s.Put(t.Context(), rec(k, "first")); err != nil {
					t.Error(err)
				}
				if err := s.Put(t.Context(), rec(k, k)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantTable(t, s, record.Credentials, want)
	})
}

func rec(key, value string) record.Record {
	return record.Record{Table: record.Credentials, Key: key, Value: []byte(value)}
}

func grant(key, value string) record.Record {
	return record.Record{Table: record.Grants, Key: key, Value: []byte(value)}
}

func mustPut(t *testing.T, s refresh.Store, recs ...record.Record) {
	t.Helper()
	if err := s.Put(t.Context(), recs...); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, s refresh.Store, name record.Table) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for r, err := range s.All(name) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Table != name {
			t.Errorf("table: got %q, want %q", r.Table, name)
		}
		if _, twice := got[r.Key]; twice {
			t.Errorf("%s was yielded twice", r.Key)
		}
		got[r.Key] = string(r.Value)
	}
	return got
}

func wantTable(t *testing.T, s refresh.Store, name record.Table, want map[string]string) {
	t.Helper()
	got := contents(t, s, name)
	for k, v := range want {
		if w, ok := got[k]; !ok || w != v {
			t.Errorf("%s %s:\ngot  %q (there: %v)\nwant %q", name, k, w, ok, v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %d records, want %d", name, len(got), len(want))
	}
}

// newTestStore opens a store, in a new directory unless c names one, and closes it at the end of
// the test.
func newTestStore(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = newStateDir(t)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
