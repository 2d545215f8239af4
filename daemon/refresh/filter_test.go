package refresh

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"tokend/daemon/record"
)

// lookedAt counts who looks, and fails all at once if fails is set.
type lookedAt struct {
	*disk
	looks int
	fails bool
}

func (s *lookedAt) Get(table record.Table, key string) (record.Record, error) {
	s.looks++
	return s.disk.Get(table, key)
}

func (s *lookedAt) All(table record.Table) iter.Seq2[record.Record, error] {
	if !s.fails {
		return s.disk.All(table)
	}
	return func(yield func(record.Record, error) bool) {
		yield(record.Record{Table: table}, errors.New("closed"))
	}
}

// TestNoHoldIsOverlooked holds that a hold is found whenever it was written, and that where there
// is none nobody looks.
func TestNoHoldIsOverlooked(t *testing.T) {
	of := func(i int) record.Record {
		return record.Record{Table: record.Holds, Key: fmt.Sprintf("name-%d", i), Value: []byte{byte(i)}}
	}
	s := &lookedAt{disk: newDisk(), fails: true}
	for i := range 100 {
		if err := s.Put(t.Context(), of(i)); err != nil {
			t.Fatal(err)
		}
	}
	r := newHoldFilter(s)
	found := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			h, err := r.Get(record.Holds, of(i).Key)
			if err != nil {
				t.Fatal(err)
			}
			if h.Value != nil {
				n++
			}
		}
		return n
	}
	walk := func(some int) {
		for range r.All(record.Holds) {
			if some--; some == 0 {
				break
			}
		}
	}
	walk(0)
	if n := found(0, 100); n != 100 {
		t.Errorf("where all could not be read, %d of 100 holds are found", n)
	}
	s.fails = false
	walk(1)
	if n := found(0, 100); n != 100 {
		t.Errorf("where one has been read, %d of 100 holds are found", n)
	}
	walk(0)
	for i := 100; i < 200; i++ {
		if err := r.Put(t.Context(), of(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.looks = 0
	if n := found(0, 1000); n != 200 {
		t.Errorf("%d of 200 holds are found", n)
	}
	if s.looks < 200 || s.looks > 220 {
		t.Errorf("200 holds of 1000 names were looked for %d times", s.looks)
	}
	s.looks = 0
	if _, err := r.Get(record.Grants, "name-5"); err != nil || s.looks != 1 {
		t.Errorf("a grant was looked for %d times: %v", s.looks, err)
	}
}
