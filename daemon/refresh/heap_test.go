package refresh

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"tokend/daemon/clock"
)

// TestScheduleGivesTheEarliest compares the schedule with a plain search, over entries that are put
// in, moved and taken out.
func TestScheduleGivesTheEarliest(t *testing.T) {
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
