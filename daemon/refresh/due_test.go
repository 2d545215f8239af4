package refresh

import (
	"fmt"
	"testing"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/policy"
)

func TestSettle(t *testing.T) {
	const hour = clock.Instant(time.Hour)
	old := &cached{text: "old", issued: 0, seen: 0, end: 2 * hour, life: 2 * time.Hour}
	for _, tc := range []struct {
		name   string
		kind   *policy.Policy
		before *cached
		got    answer
		end    clock.Instant
		same   bool
		aged   bool
	}{
		{"the first value of a stable token", policy.StableToken, nil, answer{text: "new", life: time.Hour, sent: 5}, hour + 5, false, false},
		{"the first value of a ticket may be old", policy.Ticket, nil, answer{text: "new", life: time.Hour, sent: 5}, hour + 5, false, true},
		{"a ticket that changed between two looks", policy.Ticket, &cached{text: "old", seen: hour, end: 2 * hour}, answer{text: "new", life: time.Hour, sent: hour + clock.Instant(time.Minute)}, 2*hour + clock.Instant(time.Minute), false, false},
		{"a ticket that changed in two minutes", policy.Ticket, &cached{text: "old", seen: hour, end: 2 * hour}, answer{text: "new", life: time.Hour, sent: hour.Add(knownGap)}, 2*hour + clock.Instant(knownGap), false, false},
		{"a ticket that changed in more", policy.Ticket, &cached{text: "old", seen: hour, end: 2 * hour}, answer{text: "new", life: time.Hour, sent: hour.Add(knownGap + 1)}, 2*hour + clock.Instant(knownGap) + 1, false, true},
		{"a repetition does not move the end later", policy.Ticket, old, answer{text: "old", life: 2 * time.Hour, sent: hour}, 2 * hour, true, false},
		{"a repetition that dies sooner does", policy.StableToken, old, answer{text: "old", life: 5 * time.Minute, sent: hour}, hour + clock.Instant(5*time.Minute), true, false},
		{"at the end: a second", policy.Ticket, old, answer{text: "old", life: 2 * time.Hour, sent: 2 * hour}, 2*hour + clock.Instant(time.Second), true, false},
		{"a moment past the end: a second", policy.Ticket, old, answer{text: "old", life: 2 * time.Hour, sent: 2*hour + 1}, 2*hour + 1 + clock.Instant(time.Second), true, false},
		{"20 s past the end: 20 s", policy.Ticket, old, answer{text: "old", life: 2 * time.Hour, sent: 2*hour + clock.Instant(20*time.Second)}, 2*hour + clock.Instant(40*time.Second), true, false},
		{"an hour past the end: a minute", policy.Ticket, old, answer{text: "old", life: 2 * time.Hour, sent: 3 * hour}, 3*hour + clock.Instant(time.Minute), true, false},
		{"and within that minute, a minute again", policy.Ticket, &cached{text: "old", seen: 3 * hour, end: 3*hour + clock.Instant(time.Minute), life: 2 * time.Hour, overdue: 2 * hour}, answer{text: "old", life: 2 * time.Hour, sent: 3*hour + clock.Instant(50*time.Second)}, 3*hour + clock.Instant(110*time.Second), true, false},
		{"past the end with a short life: a quarter", policy.Ticket, old, answer{text: "old", life: 6 * time.Second, sent: 3 * hour}, 3*hour + clock.Instant(1500*time.Millisecond), true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, same := settle(tc.kind, tc.before, tc.got)
			if c.end != tc.end || same != tc.same || c.aged != tc.aged {
				t.Errorf("got end %v, same %v, aged %v; want %v, %v, %v", time.Duration(c.end), same, c.aged, time.Duration(tc.end), tc.same, tc.aged)
			}
		})
	}
}

func TestRefreshAt(t *testing.T) {
	for _, tc := range []struct {
		name     string
		kind     *policy.Policy
		life     time.Duration
		now      time.Duration // since it was issued
		repeated bool
		aged     bool
		min, max time.Duration
	}{
		{"rotating, two hours", policy.RotatingToken, 2 * time.Hour, 0, false, false, 110 * time.Minute, 111 * time.Minute},
		{"component, two hours", policy.ComponentToken, 2 * time.Hour, 0, false, false, 110 * time.Minute, 111 * time.Minute},
		{"stable, two hours", policy.StableToken, 2 * time.Hour, 0, false, false, 115 * time.Minute, 116 * time.Minute},
		{"stable, the last minutes of a token", policy.StableToken, 6 * time.Minute, 0, false, false, 270 * time.Second, 288 * time.Second},
		{"a repetition near the end is followed by another look", policy.StableToken, 2 * time.Hour, 116 * time.Minute, true, false, 116*time.Minute + 30*time.Second, 116*time.Minute + 45*time.Second},
		{"a repetition far from the end is not", policy.StableToken, 2 * time.Hour, time.Hour, true, false, 115 * time.Minute, 116 * time.Minute},
		{"never beyond the end", policy.StableToken, 2 * time.Hour, 2*time.Hour - 10*time.Second, true, false, 2 * time.Hour, 2 * time.Hour},
		{"of unknown age", policy.Ticket, 2 * time.Hour, 0, false, true, 10 * time.Minute, 15 * time.Minute},
		{"six seconds", policy.RotatingToken, 6 * time.Second, 0, false, false, 4500 * time.Millisecond, 4800 * time.Millisecond},
		{"one second", policy.RotatingToken, time.Second, 0, false, false, time.Second, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &cached{end: clock.Instant(tc.life), life: tc.life, aged: tc.aged}
			for i := range 100 {
				s := spreadOf(fmt.Sprintf("official_account/wx%d/access_token", i))
				if s < 0 || s >= 1 {
					t.Fatalf("spread: got %v", s)
				}
				got := time.Duration(refreshAt(tc.kind, c, s, clock.Instant(tc.now), tc.repeated))
				if got < tc.min || got > tc.max {
					t.Fatalf("got %v, want %v to %v", got, tc.min, tc.max)
				}
			}
		})
	}
}
