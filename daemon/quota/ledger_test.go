package quota

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tokend/daemon/clock"
)

// at returns the instant d after the first.
func at(d time.Duration) clock.Instant { return clock.Instant(0).Add(d) }

// TestUncountedGap: half of the spare calls are available at once to calls that cannot wait. All
// others are spread over the window, counted from the last uncounted call.
func TestUncountedGap(t *testing.T) {
	b := Budget{Window: time.Hour, Limit: 80, Spare: 20}
	const gap = 6 * time.Minute
	calls := func(n int) (lost Tally) {
		lost.Window = b.Window
		for range n {
			lost = lost.with(at(time.Minute))
		}
		return lost
	}
	for _, tc := range []struct {
		lost  int
		early bool
		after time.Duration // since the last uncounted call
		want  time.Duration
	}{
		{0, false, 0, 0}, {0, true, 0, 0},
		{9, false, 0, 0}, {10, false, 0, gap}, {19, false, 2 * time.Minute, gap - 2*time.Minute}, {19, false, gap, 0},
		{20, false, gap, time.Hour - gap},
		{1, true, 0, gap}, {9, true, time.Minute, gap - time.Minute}, {10, true, gap, time.Hour - gap},
	} {
		got := NewLedger(time.Second).uncounted(&b, calls(tc.lost), tc.early, at(time.Minute+tc.after))
		if max(got, 0) != tc.want {
			t.Errorf("%d not counted, early %v, %v later: got %v, want %v", tc.lost, tc.early, tc.after, got, tc.want)
		}
	}
}

// TestChargeAllOrNone: a call that exceeds one budget is charged to none.
func TestChargeAllOrNone(t *testing.T) {
	budgets := []Budget{
		{Word: "app", Calls: "fetches of an app", Window: time.Hour, Limit: 10},
		{Word: "corp", Calls: "fetches of a corp", Window: Day, Limit: 2, Gap: time.Minute},
	}
	keys := []string{"work/corp/1#app", "work/corp#corp"}
	l := NewLedger(time.Second)
	for _, tc := range []struct {
		at   time.Duration
		want *Refusal
	}{
		{0, nil},
		{20 * time.Second, &Refusal{"fetches of a corp are 60 s apart", 40 * time.Second}},
		{time.Minute, nil},
		{time.Hour, &Refusal{"tokend allows 2 fetches of a corp within 24 h", 23*time.Hour + time.Minute}}, // both in one part
		{24*time.Hour + time.Minute, nil},
	} {
		got := l.Charge(budgets, keys, at(tc.at))
		if (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("after %v: got %+v, want %+v", tc.at, got, tc.want)
		}
	}
	if n := l.Total([]byte(keys[0]), at(26*time.Hour)); n != 0 {
		t.Errorf("calls of the last hour: got %d, want none", n)
	}
	if n := len(l.Get(keys[0]).Slices); n != 1 {
		t.Errorf("calls after three windows: got %d, want the last one", n)
	}
}

// TestLostCallTakenBack: a call that the disk refuses to count is not charged when no spare call is
// left.
func TestLostCallTakenBack(t *testing.T) {
	budgets, keys := []Budget{{Word: "app", Window: time.Hour, Limit: 10}}, []string{"work/corp/1#app"}
	l := NewLedger(5 * time.Second)
	if r := l.Charge(budgets, keys, at(0)); r != nil {
		t.Fatalf("got %+v", r)
	}
	r := l.Lose(budgets, keys, false, "the disk refuses", at(0))
	if r == nil || r.Wait != 5*time.Second {
		t.Errorf("got %+v, want a wait of the next write", r)
	}
	if n := l.Get(keys[0]).Calls(); n != 0 {
		t.Errorf("charged: got %d, want none", n)
	}
}

// TestFollowedTally: what all hosts have counted replaces a tally, but for the calls of this host
// that are not counted yet.
func TestFollowedTally(t *testing.T) {
	budgets, keys := []Budget{{Word: "app", Window: time.Hour, Limit: 10, Spare: 4}}, []string{"work/corp/1#app"}
	l := NewLedger(5 * time.Second)
	charge := func(after time.Duration) {
		if r := l.Charge(budgets, keys, at(after)); r != nil {
			t.Fatalf("got %+v", r)
		}
	}
	charge(0)
	charge(time.Minute)
	if r := l.Lose(budgets, keys, false, "etcd unreachable", at(time.Minute)); r != nil {
		t.Fatalf("got %+v", r)
	}
	counted := Tally{Window: time.Hour, Slices: []Slice{{at(0), at(0), 1}, {at(2 * time.Minute), at(2 * time.Minute), 3}}}
	for range 2 { // the same record may come again
		l.Follow(keys[0], counted)
		want := []Slice{{at(0), at(0), 1}, {at(time.Minute), at(time.Minute), 1}, {at(2 * time.Minute), at(2 * time.Minute), 3}}
		if got := l.Get(keys[0]); got.Window != time.Hour || !slices.Equal(got.Slices, want) {
			t.Errorf("got %+v, want the calls %+v", got, want)
		}
	}
	charge(3 * time.Minute)
	l.TakeBack(keys)
	if n := l.Get(keys[0]).Calls(); n != 5 {
		t.Errorf("got %d calls after a charge was taken back, want 5", n)
	}
	l.Counted(keys)
	l.Follow(keys[0], counted)
	if n := l.Get(keys[0]).Calls(); n != 4 {
		t.Errorf("got %d calls, want the 4 that are counted", n)
	}
}

// TestSpareShared: hosts that cannot count together share the spare calls, and each has one at
// least.
func TestSpareShared(t *testing.T) {
	for _, tc := range []struct{ spare, hosts, want int }{{80, 3, 26}, {15, 20, 1}, {0, 3, 0}, {15, 0, 15}} {
		if got := (Budget{Spare: tc.spare}).Among(tc.hosts).Spare; got != tc.want {
			t.Errorf("%d spare calls among %d hosts: got %d, want %d", tc.spare, tc.hosts, got, tc.want)
		}
	}
}

// TestIdleTalliesPruned: tallies are deleted once their window is over, and no earlier.
func TestIdleTalliesPruned(t *testing.T) {
	b, l := Budget{Word: "ticket", Window: time.Hour, Limit: 80}, NewLedger(time.Second)
	spend := func(payer string, after time.Duration) []string {
		l.Spend(b, b.Key(payer), at(after))
		return l.Prune(at(after))
	}
	for i := range PruneFrom - 2 {
		spend(fmt.Sprint("idle-", i), 0)
	}
	spend("counts", time.Minute)
	if idle := spend("last", time.Hour); len(idle) != PruneFrom-2 || slices.Contains(idle, "counts#ticket") {
		t.Errorf("deleted %d tallies, want those of the first minute", len(idle))
	}
	if got, want := slices.Sorted(maps.Keys(l.spent)), []string{"counts#ticket", "last#ticket"}; !slices.Equal(got, want) {
		t.Errorf("left: got %q, want %q", got, want)
	}
}

// TestSharesForgotten: users without calls in the window are forgotten when another one calls.
func TestSharesForgotten(t *testing.T) {
	b, l := Budget{Word: "code", Calls: "codes", Window: time.Hour, Limit: 20}, NewLedger(time.Second)
	var ss Shares
	take := func(user any, after time.Duration) *Refusal {
		r := ss.Take(l, b, b.Key("suite"), user, at(after))
		if r == nil {
			l.Spend(b, b.Key("suite"), at(after))
		}
		return r
	}
	for i := range 18 {
		if r := take("flood", 0); r != nil {
			t.Fatalf("call %d: got %+v", i, r)
		}
	}
	r := take("flood", time.Minute)
	if r == nil || r.Wait != 59*time.Minute || r.Why != "the last 2 of 20 codes within 1 h are reserved for other users" {
		t.Errorf("got %+v, want the rest reserved for an hour", r)
	}
	if r := take("other", time.Minute); r != nil {
		t.Errorf("another user: got %+v", r)
	}
	if take("third", 2*time.Hour); len(ss.of) != 1 {
		t.Errorf("remembered: got %d users, want one", len(ss.of))
	}
}
