package store

import (
	"testing"

	"tokend/daemon/record"
)

// TestStatsRefusing: commits and failures are counted, and Refusing lasts as long as the
// disk rejects writes.
func TestStatsRefusing(t *testing.T) {
	s := newTestStore(t, Config{})
	mustPut(t, s, rec("a", "1"))
	mustPut(t, s, grant("g", "1"), rec("a", "2"))
	eventually(t, "the database has followed", func() bool { return s.Stats().Pending == 0 })
	if got := s.Stats(); got.Commits != 2 || got.Puts != 2 || got.Failed != 0 || got.Journaled != 1 || got.Refusing || got.Took <= 0 {
		t.Errorf("on a working disk: got %+v", got)
	}
	s.fillDisk(t, func() {
		_ = s.Put(t.Context(), rec("a", "3"))
		if got := s.Stats(); got.Failed != 1 || !got.Refusing || got.Pending != 0 {
			t.Errorf("on a full disk: got %+v", got)
		}
		mustPut(t, s, record.Record{Table: record.Grants, Key: "g", Value: []byte("2")})
		if got := s.Stats(); got.Journaled != 2 || !got.Refusing || got.Pending != 1 {
			t.Errorf("with a grant in the journal only: got %+v", got)
		}
	})
	eventually(t, "the database takes it", func() bool { got := s.Stats(); return !got.Refusing && got.Pending == 0 })
}
