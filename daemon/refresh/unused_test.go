package refresh

import (
	"fmt"
	"testing"
	"time"
)

// TestRestartIsNoUse: what nobody asks for after a restart is not refreshed because of it,
// whenever in its life and however often tokend is restarted; what is asked for is there all the
// time.
func TestRestartIsNoUse(t *testing.T) {
	for name, restarts := range map[string][]int{ // in minutes
		"in mid-life": {60},
		"when due":    {115},
		"often":       {20, 40, 60, 80, 100, 110, 112, 114, 116, 118},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var children []string
				for i := range 200 {
					children = append(children, fmt.Sprintf("wx%d", i))
				}
				inUse := children[:20]
				p, d := newPlatform(children...), newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				for _, c := range children {
					r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
					r.mustGet(customer(c, "access_token"))
				}
				for minute := range 180 {
					if len(restarts) > 0 && restarts[0] == minute {
						restarts = restarts[1:]
						r.stop()
						r = start(t, Config{Store: d, Catalog: p.catalog()})
					}
					for _, c := range inUse {
						if _, ok := r.Cached([]byte(customer(c, "access_token"))); !ok {
							t.Fatalf("minute %d: a customer in use had to wait", minute)
						}
					}
					time.Sleep(time.Minute)
				}
				if n := p.token.count(); n != len(children)+len(inUse) {
					t.Errorf("calls: got %d, want one for each of %d customers and one more for each of %d in use", n, len(children), len(inUse))
				}
			})
		})
	}
}

// TestStartShortlyBeforeExpiry: nobody counts as having wanted anything before it. Who reads a
// value that has less than a minute left is noticed in time.
func TestStartShortlyBeforeExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const life = 2 * time.Hour
		h := makeBusyPlatform(t, life, ageing(400, life, 15*time.Second, 70*time.Second))
		for _, name := range h.names {
			h.index.get(name).asked.Store(0)
		}
		h.run(t)
		for second := range 80 {
			for _, name := range h.names {
				if _, ok := h.Cached([]byte(name)); !ok {
					t.Fatalf("second %d: %s had to be waited for", second, name)
				}
			}
			time.Sleep(time.Second)
		}
		if late := h.late(t); late > 0 {
			t.Errorf("%d values expired before their refresh", late)
		}
	})
}

// TestFirstReadCounts: the clock may be at its beginning.
func TestFirstReadCounts(t *testing.T) {
	en := &entry{}
	en.touch(0)
	if en.lastAsked() == 0 {
		t.Error("a read at the first instant counts as none")
	}
}

// TestRestUntil holds that what nobody has asked for is looked at a few times before its end: each
// time after half of what is left, and last at the end.
func TestRestUntil(t *testing.T) {
	for _, tc := range []struct{ life, left, want time.Duration }{
		{2 * time.Hour, 10 * time.Minute, 5 * time.Minute},
		{2 * time.Hour, 6 * time.Second, 3 * time.Second},
		{2 * time.Hour, restLeast, restLeast},
		{2 * time.Hour, time.Second, time.Second},
		{12 * time.Second, 4 * time.Second, 2 * time.Second},
		{12 * time.Second, 3 * time.Second, 3 * time.Second},
	} {
		now := Instant(time.Hour)
		c := &cached{life: tc.life, end: now.Add(tc.left)}
		if got := restUntil(c, now).Sub(now); got != tc.want {
			t.Errorf("%v left of %v: looked at in %v, want %v", tc.left, tc.life, got, tc.want)
		}
	}
}
