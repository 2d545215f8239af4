package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/policy"
)

// TestAwaitedEntersFirst holds that in a limiter that WeChat has narrowed to one call at a time,
// calls that a reader waits for enter before those of the schedule, and a canceled wait frees its
// place.
func TestAwaitedEntersFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(1, 1, undivided)
		if _, err := l.enter(t.Context(), "owner", patient); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var order []string // of entering
		wait := func(name string, r rank) (giveUp func()) {
			ctx, cancel := context.WithCancel(t.Context())
			all.Go(func() {
				defer cancel()
				round, err := l.enter(ctx, "owner", r)
				if err != nil {
					return
				}
				order = append(order, name)
				time.Sleep(time.Second)
				l.leave(0, "owner", round, false)
			})
			synctest.Wait()
			return cancel
		}
		wait("schedule 1", patient)
		wait("schedule 2", patient)
		giveUp := wait("reader 1", awaited)
		wait("reader 2", awaited)
		giveUp()
		synctest.Wait()
		l.leave(0, "owner", 0, false)
		all.Wait()
		if want := []string{"reader 2", "schedule 1", "schedule 2"}; !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
		if l.places.taken != 0 {
			t.Errorf("%d are in", l.places.taken)
		}
	})
}

// enters enters l in a goroutine, and returns what is closed when the call is in.
func enters(t *testing.T, l *limiter, owner string) <-chan struct{} {
	in := make(chan struct{})
	go func() {
		if _, err := l.enter(t.Context(), owner, awaited); err == nil {
			close(in)
		}
	}()
	synctest.Wait()
	return in
}

func isIn(in <-chan struct{}) bool {
	select {
	case <-in:
		return true
	default:
		return false
	}
}

// hangs lets 40 calls of owner enter that do not leave, and returns how many are in.
func hangs(t *testing.T, l *limiter, owner string) (n int) {
	t.Helper()
	var ins []<-chan struct{}
	for range 40 {
		ins = append(ins, enters(t, l, owner))
	}
	for _, in := range ins {
		if isIn(in) {
			n++
		}
	}
	return n
}

// TestLimiterHangingOwners holds that an owner without a call finds a place beside several whose
// calls hang.
func TestLimiterHangingOwners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(32, 2, halves)
		for i, want := range []int{16, 12, 1} {
			if got := hangs(t, l, fmt.Sprint("hanging ", i)); got != want {
				t.Errorf("owner %d has %d places, want %d", i, got, want)
			}
		}
		if !isIn(enters(t, l, "other")) {
			t.Error("another owner found no place")
		}
	})
}

// TestLimiterNarrowedBesideHangingOwner holds that while one owner's calls hang, another owner
// finds a place however far the host is narrowed.
func TestLimiterNarrowedBesideHangingOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(32, 2, halves)
		hangs(t, l, "hanging")
		var limits []int
		for i := range 3 {
			owner := fmt.Sprint("other ", i)
			if !isIn(enters(t, l, owner)) {
				t.Fatalf("after %v places, another owner found none", limits)
			}
			l.leave(0, owner, l.round, true)
			limits = append(limits, l.places.limit)
		}
		if want := []int{32, 8, 2}; !slices.Equal(limits, want) {
			t.Errorf("got %v places, want %v", limits, want)
		}
		if !isIn(enters(t, l, "other")) || isIn(enters(t, l, "other")) {
			t.Error("of two places another owner has none, or both")
		}
	})
}

// TestLimiterRoundRobin holds that owners are served round robin, and of one owner's calls the
// oldest first.
func TestLimiterRoundRobin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(1, 1, halves)
		enters(t, l, "first")
		var order []string
		for owner, calls := range []int{50, 3, 1, 2} {
			for call := range calls {
				go func() {
					owner := fmt.Sprint(owner)
					if _, err := l.enter(context.Background(), owner, patient); err != nil {
						return
					}
					order = append(order, fmt.Sprint(owner, ".", call))
					l.leave(0, owner, 0, false)
				}()
				synctest.Wait()
			}
		}
		l.leave(0, "first", 0, false)
		synctest.Wait()
		want := []string{"0.0", "1.0", "2.0", "3.0", "0.1", "1.1", "3.1", "0.2", "1.2", "0.3", "0.4"}
		if len(order) != 56 || !slices.Equal(order[:len(want)], want) {
			t.Errorf("got %d calls, %q; want 56, %q", len(order), order, want)
		}
	})
}

// counted returns how many places are counted as taken, and how many of them owners have within
// their share.
func (l *limiter) counted() (got, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, have := range l.places.of {
		want += min(have, l.places.share)
	}
	return l.places.taken, want
}

// mustBeEager fails if a call waits that would find a place, which another one could take then.
func (l *limiter) mustBeEager(t *testing.T, seed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.waiting {
		for owner := range l.waiting[r].all {
			if l.places.open(owner) {
				t.Errorf("seed %d: a call of %v waits beside a place", seed, owner)
			}
		}
	}
}

// TestLimiterBounds enters, cancels, leaves, hangs and narrows at random: the bounds hold at all
// times, nobody is forgotten, and nothing is left in the end.
func TestLimiterBounds(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			const most = 12
			h := newHosts([]policy.Host{{}}, most)[0]
			l := h.limiter
			var mu sync.Mutex
			flying, all, canceled := map[string]int{}, 0, 0
			var calls sync.WaitGroup
			now := func() clock.Instant { return clock.Instant(time.Now().UnixNano()) }
			random := rand.New(rand.NewPCG(seed, 3))
			for range 600 {
				owner, r := fmt.Sprint(random.IntN(9)), rank(random.IntN(2))
				begins, holds, patience := random.IntN(20_000), random.IntN(500), random.IntN(4000)
				if random.IntN(2) == 0 {
					patience = holds // leaves and cancels at the same moments
				}
				crowded := random.IntN(20) == 0
				if random.IntN(5) == 0 {
					holds += int(hangsAfter.Milliseconds())
				}
				calls.Go(func() {
					time.Sleep(time.Duration(begins) * time.Millisecond)
					mu.Lock()
					h.look(now())
					mu.Unlock()
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(patience)*time.Millisecond)
					defer cancel()
					round, ok := l.try(owner)
					if !ok {
						var err error
						if round, err = l.enter(ctx, owner, r); err != nil {
							mu.Lock()
							canceled++
							mu.Unlock()
							return
						}
					}
					mu.Lock()
					l.mustBeEager(t, seed)
					began := now()
					h.hanging.begin(owner, began)
					flying[owner]++
					all++
					if flying[owner] > most/2 || all > most {
						t.Errorf("seed %d: %d calls for one owner, %d for all", seed, flying[owner], all)
					}
					if got, want := l.counted(); got != want {
						t.Errorf("seed %d: %d places are counted as taken, want %d", seed, got, want)
					}
					mu.Unlock()
					time.Sleep(time.Duration(holds) * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					flying[owner]--
					all--
					h.hanging.end(owner, began, now(), nil)
					l.leave(now(), owner, round, crowded)
				})
			}
			calls.Wait()
			if n := len(l.waiting[awaited].by) + len(l.waiting[patient].by) + len(l.places.of) + l.places.taken; n != 0 {
				t.Errorf("seed %d: %d are waiting or in", seed, n)
			}
			if canceled == 0 || canceled == 600 || l.round == 0 {
				t.Errorf("seed %d: %d of 600 canceled, %d times narrowed: nothing was tested", seed, canceled, l.round)
			}
		})
	}
}
