package quota

import (
	"fmt"
	"time"

	"tokend/daemon/clock"
)

// Day is the window of a quota that WeChat counts by the day.
const Day = 24 * time.Hour

// Scope says whose calls a budget counts together.
type Scope uint8

// Scopes.
const (
	PerAccount Scope = iota
	PerOwner         // of the account: a corp counts all its apps
	PerHost          // of WeChat, whatever the account
)

// Budget is a quota of WeChat, or tokend's own limit below it: at most Limit calls within any
// window, wherever it begins. WeChat's own windows begin at a full minute, hour or day of a clock
// that is not documented. A sliding window keeps within all of them, and setting the wall clock
// does not refill it.
type Budget struct {
	Word   string // names it in keys
	Calls  string // names what it counts in messages, in the plural
	Window time.Duration
	Limit  int

	// Spare is how many more calls may be made within a window that the disk has refused to count,
	// and that the next run may not know: see [Ledger.Lose].
	Spare int

	// Gap is the least time between two calls; zero for none.
	Gap time.Duration

	Scope Scope
}

// Payer returns whose calls b counts: account, its owner, or "" for all of a host.
func (b *Budget) Payer(account, owner string) string {
	switch b.Scope {
	case PerHost:
		return ""
	case PerOwner:
		return owner
	}
	return account
}

// Key names the tally of payer. No payer has a '#' in it.
func (b *Budget) Key(payer string) string { return payer + "#" + b.Word }

// AppendKey appends Key to key, for a lookup that does not allocate.
func (b *Budget) AppendKey(key []byte, payer string) []byte {
	return append(append(append(key, payer...), '#'), b.Word...)
}

// Among returns the part of b that one of so many hosts has while the hosts cannot count together:
// its share of the spare calls, at least one of them.
func (b Budget) Among(hosts int) Budget {
	if b.Spare > 0 {
		b.Spare = max(b.Spare/max(hosts, 1), 1)
	}
	return b
}

// Wait returns how long until a call fits into b; zero if it fits now. t is live.
func (b *Budget) Wait(t Tally, now clock.Instant) time.Duration {
	if w := b.spacing(t, now); w > 0 {
		return w
	}
	total := t.Calls()
	for _, s := range t.Slices {
		if total < b.Limit {
			break
		}
		if total -= s.Calls; total < b.Limit {
			return s.Last.Add(b.Window).Sub(now)
		}
	}
	return 0
}

// spacing returns how much of the gap after the last call is left; zero for none. t is live.
func (b *Budget) spacing(t Tally, now clock.Instant) time.Duration {
	n := len(t.Slices)
	if n == 0 || b.Gap == 0 {
		return 0
	}
	return max(b.Gap-now.Sub(t.Slices[n-1].Last), 0)
}

// Refusal is the decision that a call must not be made.
type Refusal struct {
	Why  string        // one line without secrets
	Wait time.Duration // until the call may be made
}

// Refuse returns the refusal of a call that does not fit into b for wait.
func (b *Budget) Refuse(wait time.Duration) *Refusal {
	return &Refusal{fmt.Sprintf("tokend allows %d %s within %s", b.Limit, b.Calls, amount(b.Window)), wait}
}

// refuseSpaced returns the refusal of a call that comes too soon after the last one.
func (b *Budget) refuseSpaced(wait time.Duration) *Refusal {
	return &Refusal{fmt.Sprintf("%s are %s apart", b.Calls, amount(b.Gap)), wait}
}

// amount returns d in hours, or else in seconds.
func amount(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
