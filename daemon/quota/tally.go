package quota

import (
	"cmp"
	"slices"
	"time"

	"tokend/daemon/clock"
)

// parts is the number of parts of a window. Calls within one part are counted as made at the time
// of the last one, which errs on the safe side by one part.
const parts = 24

// Slice is the calls that were made within one part of a window.
type Slice struct {
	First, Last clock.Instant
	Calls       int
}

// Tally is the calls of the last window, oldest first.
type Tally struct {
	Window time.Duration
	Slices []Slice
}

// Live returns t without the calls that no longer count at now.
func (t Tally) Live(now clock.Instant) Tally {
	i := 0
	for i < len(t.Slices) && now.Sub(t.Slices[i].Last) >= t.Window {
		i++
	}
	t.Slices = t.Slices[i:]
	return t
}

// Calls returns the number of calls.
func (t Tally) Calls() (calls int) {
	for _, s := range t.Slices {
		calls += s.Calls
	}
	return calls
}

// Since returns the number of calls since from, without those of a part that began before.
func (t Tally) Since(from clock.Instant) (calls int) {
	for _, s := range t.Slices {
		if s.First >= from {
			calls += s.Calls
		}
	}
	return calls
}

// with returns t with a call at now. It does not modify what it shares with t.
func (t Tally) with(now clock.Instant) Tally {
	t.Slices = slices.Clone(t.Slices)
	if n := len(t.Slices); n > 0 && now.Sub(t.Slices[n-1].First) < t.Window/parts {
		t.Slices[n-1].Last = max(t.Slices[n-1].Last, now)
		t.Slices[n-1].Calls++
		return t
	}
	t.Slices = append(t.Slices, Slice{First: now, Last: now, Calls: 1})
	return t
}

// and returns t with the calls of other, which has the same window.
func (t Tally) and(other Tally) Tally {
	if len(other.Slices) == 0 {
		return t
	}
	t.Window = max(t.Window, other.Window)
	t.Slices = slices.Concat(t.Slices, other.Slices)
	slices.SortFunc(t.Slices, func(a, b Slice) int { return cmp.Compare(a.Last, b.Last) })
	return t
}

// without returns t without the last call. It does not modify what it shares with t.
func (t Tally) without() Tally {
	n := len(t.Slices)
	if n == 0 {
		return t
	}
	t.Slices = slices.Clone(t.Slices)
	if t.Slices[n-1].Calls--; t.Slices[n-1].Calls == 0 {
		t.Slices = t.Slices[:n-1]
	}
	return t
}
