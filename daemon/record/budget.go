package record

import "time"

// Budget is how much of a quota has been spent.
type Budget struct {
	Key string

	// Window is when the current window began; Spent and Before are the calls in it
	// and in the one before. Last is when the latest call was made.
	Window, Last  time.Time
	Spent, Before int
}

// budgetVersion is the first byte of an encoded budget:
//
//	version window last spent before
const budgetVersion = 1

// Encode returns the record of b.
func (b Budget) Encode() Record {
	e := encoder{budgetVersion}
	e.time(b.Window)
	e.time(b.Last)
	e.int(int64(b.Spent))
	e.int(int64(b.Before))
	return Record{Table: Budgets, Key: b.Key, Value: e}
}

// DecodeBudget is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeBudget(r Record) (Budget, error) {
	d := decode(r.Value, budgetVersion)
	b := Budget{Key: r.Key, Window: d.time(), Last: d.time(), Spent: int(d.int()), Before: int(d.int())}
	if d.err != nil {
		return Budget{}, d.err
	}
	return b, nil
}
