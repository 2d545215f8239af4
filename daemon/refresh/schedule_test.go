package refresh

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

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
		h := makeBusyPlatform(t, 2*time.Hour, ageing(n, 2*time.Hour, time.Second, 2*time.Second))
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

// TestScheduleEarliestFirst compares the schedule with a plain search, over entries that are put
// in, moved and taken out.
func TestScheduleEarliestFirst(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 7))
		s, want := newSchedule(2), map[*entry]clock.Instant{}
		all := make([]*entry, 1+random.IntN(60))
		for i := range all {
			all[i] = &entry{name: fmt.Sprint(i)}
		}
		for range 1000 {
			en, at := all[random.IntN(len(all))], clock.Instant(1+random.IntN(100))
			switch random.IntN(4) {
			case 0:
				s.set(en, never)
				delete(want, en)
			case 1:
				first := never
				for _, due := range want {
					first = min(first, due)
				}
				got, wait := s.next(at)
				switch due, ok := want[got]; {
				case got == nil && len(want) == 0 && wait == longestNap, got == nil && first > at && wait == first.Sub(at):
				case got == nil || !ok || due > at || due != first:
					t.Fatalf("seed %d: got %v due %d at %d, wait %v; the first is due at %d", seed, got, due, at, wait, first)
				default:
					delete(want, got)
				}
			default:
				s.set(en, at)
				want[en] = at
			}
			if len(s.coming.slots) != len(want) {
				t.Fatalf("seed %d: %d in the heap, want %d", seed, len(s.coming.slots), len(want))
			}
		}
		for i, x := range s.coming.slots {
			if want[x.en] != x.due || int(x.en.place) != (i+1)*heapNumbers {
				t.Errorf("seed %d: %s is due at %d, want %d; is at %d, has %d", seed, x.en.name, x.due, want[x.en], (i+1)*heapNumbers, x.en.place)
			}
		}
	}
}

func anyOwner(any) bool { return true }

// TestOneHeapPerEntry holds that an entry which waits for the pace is not due besides,
// however it is moved, and that the one of most need is released first.
func TestOneHeapPerEntry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 7))
	s, waits, comes := newSchedule(2), map[*entry]clock.Instant{}, map[*entry]clock.Instant{}
	all := make([]*entry, 40)
	for i := range all {
		all[i] = &entry{name: fmt.Sprint(platform, "/", i)}
	}
	for range 10_000 {
		en, at := all[random.IntN(len(all))], clock.Instant(1+random.IntN(100))
		switch random.IntN(4) {
		case 0:
			s.wait(otherHost, pacedDue, en, at)
			delete(comes, en)
			waits[en] = at
		case 1:
			s.set(en, at)
			delete(waits, en)
			comes[en] = at
		case 2:
			s.set(en, never)
			delete(waits, en)
			delete(comes, en)
		default:
			first := never
			for _, end := range waits {
				first = min(first, end)
			}
			en := s.release(otherHost, anyOwner, false, false, 0)
			if (en == nil) != (len(waits) == 0) || en != nil && waits[en] != first {
				t.Fatalf("released %v, of which the need is %d; want the need %d", en, waits[en], first)
			}
			delete(waits, en)
		}
		if s.backlogs[otherHost].len != len(waits) || len(s.coming.slots) != len(comes) || s.len() != len(waits)+len(comes) || s.waits(otherHost) != (len(waits) > 0) {
			t.Fatalf("%d wait and %d come, want %d and %d", s.backlogs[otherHost].len, len(s.coming.slots), len(waits), len(comes))
		}
	}
}

// TestYield: while there is no time for all, those that nobody has wanted lately are released
// after those that somebody has, and before those that have ended.
func TestYield(t *testing.T) {
	const now = clock.Instant(time.Hour)
	s := newSchedule(2)
	waits := func(name string, asked, end clock.Instant) {
		en := &entry{name: customer(name, "access_token")}
		en.current.Store(&cached{life: 2 * time.Hour})
		en.touch(asked)
		s.wait(oneHost, pacedDue, en, end)
	}
	released := func(short bool) string {
		if en := s.release(oneHost, anyOwner, false, short, now); en != nil {
			return strings.Split(en.name, "/")[2]
		}
		return ""
	}
	minute := clock.Instant(time.Minute)
	waits("idle 1", now-20*minute, now+minute)
	waits("busy 2", now-minute, now+2*minute)
	waits("idle 3", now-20*minute, now+3*minute)
	waits("busy 4", now-minute, now+4*minute)
	waits("idle 5", now-20*minute, now+5*minute)
	waits("ended", now-minute, behind+now)
	var got []string
	for _, short := range []bool{true, true, false, false, true, true, true} {
		got = append(got, released(short))
	}
	want := []string{"busy 2", "busy 4", "idle 1", "idle 3", "idle 5", "ended", ""}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if s.waits(oneHost) || s.len() != 0 {
		t.Errorf("%d are left", s.len())
	}
}

// TestCost holds what the documentation of entry says of its size.
func TestCost(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("it speaks of processors of 64 bits")
	}
	if n := unsafe.Sizeof(entry{}); n != 96 {
		t.Errorf("an entry takes %d bytes", n)
	}
	if n := unsafe.Sizeof(cached{}); n > 80 {
		t.Errorf("a credential takes %d bytes", n)
	}
	if n := unsafe.Sizeof(slot{}); n != 16 {
		t.Errorf("a slot takes %d bytes", n)
	}
	if n := unsafe.Sizeof(pastAttempt{}); n != 24 {
		t.Errorf("an attempt takes %d bytes", n)
	}
}

// BenchmarkSchedule moves one entry of many to a new time, as a refresh does.
func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSchedule(2)
			s.grow(n)
			random := rand.New(rand.NewPCG(1, 2))
			for range n {
				s.set(&entry{}, clock.Instant(random.Int64N(1<<40)))
			}
			b.ReportAllocs()
			for b.Loop() {
				en, _ := s.next(1 << 62)
				s.set(en, clock.Instant(random.Int64N(1<<40)))
			}
		})
	}
}
