package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// manyAccounts returns a WeChat with 400 accounts, each an owner, whose values have left; 0 for
// none. The calls of every eighth hang.
func manyAccounts(t *testing.T, left time.Duration) (w *site, hanging, others []string) {
	t.Helper()
	w = newSite()
	for i := range 400 {
		name := fmt.Sprintf("official_account/wx%d/access_token", i)
		w.has(t, Spec{Name: name, Policy: policy.StableToken}, left)
		if i%8 == 0 {
			w.answer(credential.OwnerOf(name), forever)
			hanging = append(hanging, name)
		} else {
			others = append(others, name)
		}
	}
	return w, hanging, others
}

// fresh returns how many of names have a value of most of its life.
func (w *site) fresh(names []string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		if time.Until(w.ends[name]) > time.Hour {
			n++
		}
	}
	return n
}

// TestHangingOwners holds which calls of an owner hang.
func TestHangingOwners(t *testing.T) {
	const second = clock.Instant(time.Second)
	silent := &fetchers.TransportError{Endpoint: "/", Sent: true, Err: context.DeadlineExceeded}
	unreachable := &fetchers.TransportError{Endpoint: "/", Err: errors.New("connection refused")}
	answer := func(s *hanging, at clock.Instant) {
		s.begin("other", at-1)
		s.end("other", at-1, at, nil)
	}
	for _, c := range []struct {
		name string
		do   func(s *hanging)
		want bool
	}{
		{"silent for long, others answered", func(s *hanging) {
			s.begin("a", second)
			answer(s, 2*second)
			s.end("a", second, 7*second, silent)
		}, true},
		{"a short timeout", func(s *hanging) {
			s.begin("a", second)
			answer(s, 2*second)
			s.end("a", second, 4*second, silent)
		}, true},
		{"the host is silent", func(s *hanging) {
			s.begin("b", second)
			s.begin("a", second)
			s.end("b", second, 4*second, silent)
			s.end("a", second, 4*second, silent)
		}, false},
		{"the host refuses connections", func(s *hanging) {
			s.begin("a", second)
			s.begin("b", 2*second)
			s.end("b", 2*second, 2*second, unreachable)
			s.end("a", second, 7*second, silent)
		}, false},
		{"no call was made", func(s *hanging) {
			s.begin("a", second)
			answer(s, 2*second)
			s.end("a", second, 7*second, silent)
			s.begin("a", 8*second)
			s.end("a", 8*second, 8*second, errDeadParent)
		}, true},
		{"a later call was answered", func(s *hanging) {
			s.begin("a", second)
			s.begin("a", 2*second)
			s.end("a", 2*second, 3*second, nil)
			s.end("a", second, 9*second, silent)
		}, false},
		{"a later call was answered, an earlier one is in flight", func(s *hanging) {
			s.begin("a", second)
			s.begin("a", 2*second)
			s.end("a", 2*second, 3*second, nil)
			answer(s, 4*second)
			s.look(9 * second)
		}, false},
		{"one call begins as another ends", func(s *hanging) {
			s.begin("a", second)
			s.begin("a", 2*second)
			answer(s, 3*second)
			s.end("a", second, 6*second, silent)
			s.begin("a", 6*second)
			s.look(7 * second)
		}, true},
		{"forgotten by a reload", func(s *hanging) {
			s.begin("a", second)
			answer(s, 2*second)
			s.end("a", second, 7*second, silent)
			s.forget()
		}, false},
		{"answered again", func(s *hanging) {
			s.begin("a", second)
			answer(s, 2*second)
			s.end("a", second, 7*second, silent)
			s.begin("a", 8*second)
			s.end("a", 8*second, 9*second, nil)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s hanging
			c.do(&s)
			if got := s.has("a"); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestLookAdmits holds that a call that waits enters as soon as the calls of other owners are known
// to hang, before any call that comes later.
func TestLookAdmits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const second = clock.Instant(time.Second)
		h := newHosts([]policy.Host{{}}, 32)[0]
		enter := func(owner string, at clock.Instant) {
			t.Helper()
			if _, ok := h.try(owner); !ok {
				t.Fatal("no place for ", owner)
			}
			h.hanging.begin(owner, at)
		}
		for i := range 27 {
			enter(fmt.Sprint("hanging ", i), second)
		}
		h.hanging.begin("answered", second)
		h.hanging.end("answered", second, 2*second, nil)
		enter("other", 5*second)
		in := enters(t, h.limiter, "other")
		if isIn(in) {
			t.Fatal("entered before anything was known")
		}
		h.look(7 * second)
		synctest.Wait()
		if !isIn(in) {
			t.Error("a call waits although there is a place")
		}
	})
}

// BenchmarkAdmitBesideHanging measures a look for a call that may enter, of very many owners that
// wait and whose calls hang.
func BenchmarkAdmitBesideHanging(b *testing.B) {
	h := newHosts([]policy.Host{{}}, 32)[0]
	h.hanging.answered = 2
	for i := range 10_000 {
		owner := fmt.Sprint("owner ", i)
		h.hanging.begin(owner, 1)
		h.hanging.end(owner, 1, 3, context.DeadlineExceeded)
		if _, ok := h.try(owner); !ok {
			h.waiting[awaited].join(owner)
		}
	}
	for b.Loop() {
		h.admit()
	}
}

// TestScheduleBesideHangingAccounts holds that accounts whose calls hang, each an owner, delay the
// refreshes of the others only until their first calls are given up.
func TestScheduleBesideHangingAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _, others := manyAccounts(t, 4*time.Minute)
		w.start(t)
		began := time.Now()
		for w.fresh(others) < len(others) && time.Since(began) < 10*time.Minute {
			time.Sleep(time.Second)
		}
		took := time.Since(began)
		t.Logf("%d others were refreshed in %v", len(others), took)
		if took > 45*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestColdReaderBesideHangingAccounts holds that accounts whose calls have hung, each an owner, do
// not delay the calls for others that readers wait for, however many readers they have.
func TestColdReaderBesideHangingAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hanging, others := manyAccounts(t, 0)
		r := w.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		defer readers.Wait()
		defer cancel()
		for _, name := range hanging {
			readers.Go(func() {
				for ctx.Err() == nil {
					_, _ = r.Get(ctx, name)
					time.Sleep(time.Second)
				}
			})
		}
		var first, later time.Duration
		for i, name := range others[:100] {
			time.Sleep(3 * time.Second)
			synctest.Wait()
			took := slowest(t, func(ctx context.Context) error { _, err := r.Get(ctx, name); return err })
			if i < 20 {
				first = max(first, took)
			} else {
				later = max(later, took)
			}
		}
		t.Logf("waited %v in the first minute, %v later", first, later)
		if first > 31*time.Second || later > time.Second {
			t.Error("readers wait for accounts whose calls hang")
		}
	})
}

// TestPaceBesideFailingPlatform holds that a platform whose calls all fail at once does not slow
// the refreshes of another one's customers.
func TestPaceBesideFailingPlatform(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, left = 3000, 40 * time.Second
		w := newSite()
		failing := w.platform(t, "open_platform/wxa", n, left, left)
		other := w.platform(t, "open_platform/wxb", n, left, left)
		w.fail("open_platform/wxa")
		w.answer("open_platform/wxb", 10*time.Millisecond)
		w.start(t)
		began := time.Now()
		for w.fresh(other) < len(other) && time.Since(began) < 10*time.Minute {
			time.Sleep(time.Second)
		}
		t.Logf("%d were refreshed in %v, %d late, beside %d that fail", len(other), time.Since(began), w.late(other), len(failing))
		if late := w.late(other); late > 0 {
			t.Errorf("%d of %d expired", late, len(other))
		}
	})
}

// TestCrowdedOwnerAlone holds that an owner that WeCom answers that it has too many calls at once
// makes fewer, and that others do not.
func TestCrowdedOwnerAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(32, 2, halves)
		for i, want := range []int{16, 8, 4} {
			if got := hangs(t, l, "crowded"); got != want {
				t.Errorf("the owner has %d places after %d such answers, want %d", got, i, want)
			}
			for round := l.round; l.places.of["crowded"] > 0; {
				l.leave(0, "crowded", round, true)
			}
		}
		if got := hangs(t, l, "other"); got != 16 {
			t.Errorf("another owner has %d places, want 16", got)
		}
	})
}

// TestCrowdedOwnersApart holds that the answers to two owners narrow the host only if they come
// shortly after each other, however long the first takes to widen again.
func TestCrowdedOwnersApart(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  bool // narrowed
	}{{widenEvery - 1, true}, {widenEvery, false}, {2*widenEvery + 1, false}} {
		t.Run(c.after.String(), func(t *testing.T) {
			l := newLimiter(32, 2, halves)
			const began = clock.Instant(time.Minute)
			for range 8 {
				l.try("one")
			}
			round, _ := l.try("other")
			l.leave(began, "one", 0, true)
			l.leave(began.Add(widenEvery), "one", round, false)
			l.leave(began.Add(c.after), "other", round+1, true)
			if narrowed := l.places.limit < 32; narrowed != c.want {
				t.Errorf("%d places for all", l.places.limit)
			}
		})
	}
}
