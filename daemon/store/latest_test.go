package store

import (
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"tokend/daemon/record"
)

// TestReadingLifetime: a reader sees the database as of its start, whatever is
// committed later. A reading without users is discarded; otherwise Badger would keep everything
// replaced since.
func TestReadingLifetime(t *testing.T) {
	s := newTestStore(t, Config{})
	l := &s.current.db.latest
	get := func(r *reading) string {
		t.Helper()
		v, err := s.current.db.value(r.txn, recordKey(record.Credentials, "t"), nil)
		switch {
		case errors.Is(err, badger.ErrDiscardedTxn):
			return "given up"
		case err != nil:
			t.Fatal(err)
		}
		return string(v)
	}
	want := func(what string, r *reading, want string) {
		t.Helper()
		if got := get(r); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	mustPut(t, s, rec("t", "1"))
	one, again := l.enter(), l.enter()
	mustPut(t, s, rec("t", "2"))
	two := l.enter()
	l.leave(two)
	l.leave(one)
	want("one of two has left", again, "1")
	want("nobody reads, and it is the latest", two, "2")
	l.leave(again)
	want("both have left", again, "given up")
	mustPut(t, s, rec("t", "3"))
	want("nobody reads, and there is a later one", two, "given up")
	three := l.enter()
	mustPut(t, s, rec("t", "4"))
	want("there is a later one", three, "3")
	l.leave(three)
	want("he has left", three, "given up")
	four := l.enter()
	l.end()
	want("it has ended", four, "4")
	l.leave(four)
	want("it has ended, and he has left", four, "given up")
	l.renew(s.current.db.NewTransaction(false)) // for Close
}
