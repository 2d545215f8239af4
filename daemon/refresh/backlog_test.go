package refresh

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
)

// TestBacklogOrder compares a backlog with a plain search, over refreshes that are added, moved,
// taken out and released, and owners that have no room now and then: the owner that was served
// least recently goes first, and of its values the first to expire.
func TestBacklogOrder(t *testing.T) {
	type wait struct {
		end  clock.Instant
		heap int
	}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 11))
		s, waits := newSchedule(2), map[*entry]wait{}
		all := make([]*entry, 60)
		for i := range all {
			all[i] = &entry{name: fmt.Sprintf("open_platform/wx%d/%d/access_token", i%7, i)}
		}
		now := clock.Instant(1)
		served, n := map[any]int{}, 0 // when each owner was, or has joined
		take := func(en *entry) {
			delete(waits, en)
			for other := range waits {
				if credential.OwnerOf(other.name) == credential.OwnerOf(en.name) {
					return
				}
			}
			delete(served, credential.OwnerOf(en.name))
		}
		for range 2000 {
			n++
			now = now.Add(time.Duration(random.IntN(10)) * time.Millisecond)
			en := all[random.IntN(len(all))]
			switch random.IntN(5) {
			case 0:
				s.set(en, never)
				take(en)
			case 1: // what has expired while it waited
				for got, _ := s.next(now); got != nil; got, _ = s.next(now) {
					if waits[got].end > now || waits[got].end == 0 {
						t.Fatalf("seed %d: at %d %s was taken out, which expires at %d", seed, now, got.name, waits[got].end)
					}
					take(got)
				}
				for en, w := range waits {
					if w.end < now.Add(-time.Millisecond) {
						t.Fatalf("seed %d: at %d %s waits on, which expired at %d", seed, now, en.name, w.end)
					}
				}
			case 2:
				full := fmt.Sprintf("open_platform/wx%d", random.IntN(7))
				unpaced := random.IntN(2) == 0
				got := s.release(oneHost, func(owner any) bool { return owner != full }, unpaced, false, now)
				var want *entry
				for x, w := range waits {
					owner := credential.OwnerOf(x.name)
					switch {
					case owner == full, unpaced && w.heap != ownDue:
					case want == nil, w.heap < waits[want].heap,
						w.heap == waits[want].heap && served[owner] < served[credential.OwnerOf(want.name)],
						w.heap == waits[want].heap && owner == credential.OwnerOf(want.name) && w.end < waits[want].end:
						want = x
					}
				}
				if (got == nil) != (want == nil) || got != nil && (credential.OwnerOf(got.name) != credential.OwnerOf(want.name) || waits[got] != waits[want]) {
					t.Fatalf("seed %d: released %v, want %v", seed, got, want)
				}
				if got != nil {
					served[credential.OwnerOf(got.name)] = n
					take(got)
				}
			default:
				w := wait{now.Add(time.Duration(random.IntN(200)) * time.Millisecond), random.IntN(2)}
				s.dropLocked(en)
				take(en)
				s.wait(oneHost, w.heap, en, w.end)
				if waits[en] = w; served[credential.OwnerOf(en.name)] == 0 {
					served[credential.OwnerOf(en.name)] = n
				}
			}
			if s.len() != len(waits) || s.waits(oneHost) != (len(waits) > 0) || len(s.backlogs[oneHost].owners.by) != len(served) {
				t.Fatalf("seed %d: %d wait, want %d; %d owners, want %d", seed, s.len(), len(waits), len(s.backlogs[oneHost].owners.by), len(served))
			}
		}
	}
}

// TestNeeds holds that the needed rate counts the customers' and the accounts' own values, of all
// owners, and what has expired only if somebody has wanted it lately.
func TestNeeds(t *testing.T) {
	const now = clock.Instant(10 * time.Hour)
	s := newSchedule(2)
	waits := func(name string, heap int, asked, end clock.Instant) {
		en := &entry{name: name}
		en.current.Store(&cached{life: 2 * time.Hour})
		if en.touch(asked); asked == 0 {
			en.asked.Store(0)
		}
		s.wait(oneHost, heap, en, end)
	}
	in := func(d time.Duration) clock.Instant { return now.Add(d) }
	for i, step := range []struct {
		name       string
		heap       int
		asked, end clock.Instant
		want       float64
	}{
		{customer("wxa", "access_token"), pacedDue, now, in(100 * time.Second), 0.01},
		{"open_platform/wxd/wxa/access_token", pacedDue, now, in(100 * time.Second), 0.02},
		{app, ownDue, 0, in(50 * time.Second), 0.03},
		{app2, ownDue, 0, behind + now, 0.03},
		{"official_account/wx3/access_token", ownDue, in(-20 * time.Minute), behind + now, 0.03},
		{"official_account/wx4/access_token", ownDue, in(-time.Minute), behind + now, 1},
		{customer("wxb", "access_token"), pacedDue, in(-time.Minute), behind + now, 2},
	} {
		waits(step.name, step.heap, step.asked, step.end)
		if got := s.needs(oneHost, now); got != step.want {
			t.Errorf("step %d: got %v a second, want %v", i, got, step.want)
		}
	}
}

// TestNeedsSampled holds that the needed rate of very many is about right.
func TestNeedsSampled(t *testing.T) {
	const now, n = clock.Instant(time.Hour), 5 * samples
	s := newSchedule(2)
	for i := range n {
		en := &entry{name: fmt.Sprintf("open_platform/wx%d/%d/access_token", i%100, i)}
		if i%10 == 0 {
			en.name = fmt.Sprintf("official_account/wx%d/access_token", i) // an owner of one
		}
		s.wait(oneHost, pacedDue, en, now.Add(100*time.Second+time.Duration(i)))
	}
	if got := s.needs(oneHost, now); got < n/100*0.99 || got > n/100*1.01 {
		t.Errorf("got %v a second, want %d", got, n/100)
	}
}

// TestExpiredWantedAreHurried holds that expired credentials of customers are refreshed faster
// than at the floor of the pace after an outage in which readers have asked for them.
func TestExpiredWantedAreHurried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = crowd / 2
		h := restHerd(t, 2*time.Hour, ageing(n, 2*time.Hour, time.Second, 2*time.Second))
		h.away = true
		h.run(t)
		time.Sleep(time.Minute)
		for _, name := range h.names {
			go func() { _, _ = h.Get(t.Context(), name) }()
		}
		time.Sleep(time.Minute)
		h.mu.Lock()
		h.away = false
		h.mu.Unlock()
		took := time.Duration(n/paceCeiling)*time.Second + time.Minute // and the longest pause between two tries
		time.Sleep(took)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.calls) != n {
			t.Errorf("%d of %d were refreshed within %v", len(h.calls), n, took)
		}
	})
}
