package record

import "time"

// Budget is the part of a quota that has been used.
type Budget struct {
	Key string

	// Window is how long a call counts. The record is useless that long after the last call.
	Window time.Duration

	// Boot is the boot in which the moments were taken. It is empty on systems without boot IDs.
	Boot string

	// Slices are the calls, oldest first. Calls made close together share a slice.
	Slices []Slice
}

// Slice is a number of calls made close together.
type Slice struct {
	First, Last Moment
	Calls       int
}

// budgetVersion is the first byte of an encoded budget:
//
//	version window boot n {first{wall since} last{…} calls}…
const budgetVersion = 2

// Encode returns the record of b.
func (b Budget) Encode() Record {
	e := encoder{budgetVersion}
	e.int(int64(b.Window))
	e.text(b.Boot)
	e.uint(uint64(len(b.Slices)))
	for _, s := range b.Slices {
		e.moment(s.First)
		e.moment(s.Last)
		e.uint(uint64(s.Calls))
	}
	return Record{Table: Budgets, Key: b.Key, Value: e}
}

// DecodeBudget is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeBudget(r Record) (Budget, error) {
	d := decode(r.Value, budgetVersion)
	b := Budget{Key: r.Key, Window: time.Duration(d.int()), Boot: d.text()}
	n := d.uint()
	if n > uint64(len(r.Value)) {
		d.fail() // a slice takes more than a byte
	}
	for i := uint64(0); i < n && d.err == nil; i++ {
		b.Slices = append(b.Slices, Slice{First: d.moment(), Last: d.moment(), Calls: int(d.uint())})
	}
	if d.err != nil {
		return Budget{}, d.err
	}
	return b, nil
}
