package refresh

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestPastRemembersTheLast holds that an attempt is told as it was noted, to the millisecond, and that
// the oldest are forgotten with what belongs to them.
func TestPastRemembersTheLast(t *testing.T) {
	for kind, limit := range map[Kind]int{StableToken: remembered, AuthorizerToken: rememberedCustomer} {
		en := &entry{name: "a"}
		en.class.Store(&class{kind: kind})
		if h := en.past.history(); len(h) != 0 {
			t.Errorf("got %v before anything has happened", h)
		}
		var want []Attempt
		at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
		for i := range 40 {
			a := Attempt{At: at.Add(time.Duration(i) * time.Hour), Cause: Cause(1 + i%7), Outcome: outcomes[i%len(outcomes)], Took: time.Duration(i) * time.Millisecond}
			if i%3 == 0 {
				a.ErrCode, a.RID = 40001+i, fmt.Sprint("rid-", i)
			}
			en.remember(a)
			want = slices.Insert(want, 0, a)
			want = want[:min(len(want), limit)]
			if got := en.past.history(); !slices.Equal(got, want) {
				t.Fatalf("kind %v, %d attempts:\ngot  %v\nwant %v", kind, i+1, got, want)
			}
		}
	}
}
