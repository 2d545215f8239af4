package refresh

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

var faults = flag.Bool("faults", false, "run the outages with very many customers, too")

// TestManyDuePaced: after a start everybody's value is due. Where there is
// time the schedule never calls more often than the pace, for those first whose values end soonest;
// the accounts' own credentials do not wait for it, and in the end all are fresh.
func TestManyDuePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, 2 * time.Hour
		const most = n * time.Second / paceFloor * 5 / 2
		own := fresh(life)
		h := newBusyPlatform(t, life, ageing(n, life, most/20, most), Spec{Name: app, Policy: policy.StableToken, Fetcher: own})
		synctest.Wait()
		if own.count() != 1 {
			t.Errorf("an account's own credential waits for those of customers")
		}
		time.Sleep(n*time.Second/paceFloor + time.Second)
		synctest.Wait()
		if late := h.late(t); late > 0 {
			t.Errorf("%d values expired before their refresh", late)
		}
		var last time.Time
		for i, c := range h.calls {
			if k := i - paceFloor; k >= 0 && c.at.Sub(h.calls[k].at) < time.Second {
				t.Fatalf("call %d: more than %d within a second", i, paceFloor)
			}
			if h.end[c.name].Before(last) {
				t.Fatalf("call %d: for a value that expires before another that was fetched earlier", i)
			}
			last = h.end[c.name]
		}
	})
}

// TestPaceRises: all have so little left that the floor would let most of
// them end. It rises step by step as WeChat answers, and all are refreshed in time.
func TestPaceRises(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, 2 * time.Hour
		const most = n * time.Second / paceCeiling * 3 / 2
		h := makeBusyPlatform(t, life, ageing(n, life, most/4, most))
		h.latency = 50 * time.Millisecond // 8 workers would be too few
		h.run(t)
		time.Sleep(most)
		synctest.Wait()
		if late := h.late(t); late > 0 {
			t.Errorf("%d of %d values expired before their refresh", late, n)
		}
		h.mustGrowSlowly(t)
		if h.most > h.cfg.calls()/2 {
			t.Errorf("%d calls at once, want %d at most", h.most, h.cfg.calls()/2)
		}
	})
}

// TestReadersNotPaced: there is no time for all. A reader of an expired value has it
// fetched at once, and nobody's is fetched twice.
func TestReadersNotPaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, 2 * time.Hour
		const most = n * time.Second / paceCeiling / 4
		h := newBusyPlatform(t, life, ageing(n, life, most/10, most))
		time.Sleep(most)
		for _, name := range h.names {
			if _, ok := h.Cached([]byte(name)); ok {
				continue
			}
			h.mu.Lock()
			h.read[name] = true
			h.mu.Unlock()
			asked := time.Now()
			if _, err := h.Get(t.Context(), name); err != nil || time.Since(asked) > 0 {
				t.Fatalf("a reader waited %v: %v", time.Since(asked), err)
			}
		}
		time.Sleep(n * time.Second / paceFloor)
		synctest.Wait()
		if len(h.read) == 0 {
			t.Error("no reader was in need")
		}
		if len(h.calls)+len(h.read) != n || len(h.read) != len(h.waits) {
			t.Errorf("%d calls of the schedule, and %d for %d readers; want %d in all", len(h.calls), len(h.waits), len(h.read), n)
		}
	})
}

// TestRequestedGoFirst: there is no time for all before they end. Those that are being asked
// for are refreshed in time, and those that were asked for earlier in their lives yield to them.
func TestRequestedGoFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, crowd * time.Second / 100
		h := newBusyPlatform(t, life, ageing(n, life, life*5/8, life*5/8+1)) // and all are asked for now
		time.Sleep(life * 5 / 16)                                            // they are not due before a quarter of their life is left
		asked := map[string]bool{}
		for i, name := range h.names {
			if i%4 == 0 {
				h.Cached([]byte(name))
				asked[name] = true
			}
		}
		time.Sleep(life * 5 / 16)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		others, ended := 0, n
		for _, c := range h.calls {
			if !h.end[c.name].After(c.at) {
				continue
			}
			ended--
			if asked[c.name] {
				delete(asked, c.name)
			} else {
				others++
			}
		}
		if ended < n/8 {
			t.Fatalf("%d of %d ended: there was time for all", ended, n)
		}
		if len(asked) > 0 {
			t.Errorf("%d of those that are asked for ended, while %d others were refreshed", len(asked), others)
		}
	})
}

// TestAllDueInOutage: all are in use and fall due within the first minute of an outage.
// WeChat is asked seldom in it, and not stormed when it is back. Those that still have time have
// been refreshed before their end, and all are refreshed as soon as the floor of the pace lets
// them, or sooner if their time is short.
func TestAllDueInOutage(t *testing.T) {
	for _, tc := range []struct {
		n      int
		outage time.Duration
		late   int // at most; all where they end in the outage
		rate   int // a second, from when WeChat is back until all are refreshed
	}{
		{crowd, 5 * time.Minute, 0, paceFloor},
		{crowd, 30 * time.Minute, crowd, paceFloor},
		{crowd, 150 * time.Minute, crowd, paceFloor},
		{10 * crowd, 5 * time.Minute, max(0, 10*crowd-paceCeiling*330), 10 * crowd / 360}, // they have 5 to 6 minutes left
		{10 * crowd, 30 * time.Minute, 10 * crowd, paceFloor},
		{10 * crowd, 150 * time.Minute, 10 * crowd, paceFloor},
	} {
		if tc.n > crowd && !*faults {
			continue
		}
		t.Run(fmt.Sprint(tc.n, " ", tc.outage), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const life, lead = 2 * time.Hour, 10 * time.Minute
				h := makeBusyPlatform(t, life, ageing(tc.n, life, lead, lead+time.Minute))
				h.latency, h.away = 50*time.Millisecond, true
				h.run(t)
				time.Sleep(tc.outage)
				synctest.Wait()
				h.mu.Lock()
				h.away = false
				asked, back := len(h.failed), time.Now()
				h.mu.Unlock()
				if most := int(tc.outage/time.Second)*paceProbe + 4*paceFloor; asked > most || asked == 0 {
					t.Errorf("WeChat was asked %d times in the outage, want %d at most", asked, most)
				}
				if got := busiest(h.failed, time.Second); got > paceFloor {
					t.Errorf("%d times within a second", got)
				}
				time.Sleep(max(lead, time.Duration(tc.n)*time.Second/paceFloor) + time.Minute)
				synctest.Wait()
				if late := h.late(t); late > tc.late {
					t.Errorf("%d of %d values expired before their refresh, want %d at most", late, tc.n, tc.late)
				} else {
					t.Logf("%d calls in the outage; %d of %d values expired before their refresh; calls in the first seconds after it: %v",
						asked, late, tc.n, h.seconds()[:8])
				}
				took, most := h.calls[len(h.calls)-1].at.Sub(back), time.Duration(tc.n/tc.rate+5)*time.Second // and some until the floor is reached again
				if took > most {
					t.Errorf("the last was refreshed %v after the outage, want %v at most", took, most)
				}
				h.mustGrowSlowly(t)
				if h.most > h.cfg.calls()/2 {
					t.Errorf("%d calls at once, want %d at most", h.most, h.cfg.calls()/2)
				}
			})
		})
	}
}

// TestPaceSuffices: however many are in use and however short their lives, no reader waits
// because of the pace.
func TestPaceSuffices(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, crowd * time.Second / 100 // more than 100 calls a second are needed
		ages := make([]time.Duration, n)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range ages {
			ages[i] = time.Duration(random.Int64N(int64(life * 3 / 4)))
		}
		h := newBusyPlatform(t, life, ages)
		for range 20 {
			time.Sleep(life / 4)
			for _, name := range h.names {
				if _, ok := h.Cached([]byte(name)); !ok {
					t.Fatalf("%s had to be waited for", name)
				}
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if need := 5 * n; len(h.calls) < need {
			t.Errorf("%d calls in five lives of %d: not in use", len(h.calls), n)
		}
		if float64(len(h.calls))/(5*life.Seconds()) < paceFloor {
			t.Errorf("%d calls in %v: no more than the floor", len(h.calls), 5*life)
		}
	})
}

// TestExpiryWhilePaced: watchers are notified of a value that expires before its
// refresh.
func TestExpiryWhilePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ages := make([]time.Duration, 1000)
		for i := range ages {
			ages[i] = 2*time.Hour - time.Second
		}
		h := newBusyPlatform(t, 2*time.Hour, ages)
		_, _, w := h.Watch(nil, platform+"/wx", nil)
		time.Sleep(time.Second)
		synctest.Wait()
		ended := 0
		told, _ := w.Take()
		for _, l := range told {
			if l.State == credential.Expired && strings.HasSuffix(l.Name, "/access_token") {
				ended++
			}
		}
		if ended < len(ages)-paceFloor-1 || ended == len(ages) {
			t.Errorf("%d ends were announced, want those of %d but for %d", ended, len(ages), paceFloor)
		}
	})
}

func TestGapOf(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		n     int
		want  time.Duration
	}{
		{2 * time.Hour, 1, 20 * time.Millisecond},
		{2 * time.Hour, 100_000, 20 * time.Millisecond},
		{2 * time.Hour, 1_000_000, 3600 * time.Microsecond},
		{30 * time.Second, 10_000, 1500 * time.Microsecond},
		{0, 10, 0},
		{-time.Second, 10, 0},
	} {
		if got := gapOf(c.every, c.n); got != c.want {
			t.Errorf("gapOf(%v, %d): got %v, want %v", c.every, c.n, got, c.want)
		}
	}
}

// TestDemand: soonest-ending first, by the beginning of their step.
func TestDemand(t *testing.T) {
	type ends map[time.Duration]int
	for _, c := range []struct {
		ends ends
		want float64
	}{
		{ends{}, 0},
		{ends{100 * time.Second: 1000}, 10},
		{ends{100 * time.Second: 1000, 200 * time.Second: 500}, 10},
		{ends{100 * time.Second: 1000, 200 * time.Second: 3000}, 20},
		{ends{104 * time.Second: 1000}, 10},
		{ends{time.Millisecond: 7}, 7},
		{ends{-time.Second: 7, 10 * time.Minute: 7, behind.Sub(0): 7}, 0},
	} {
		var d demand
		for left, n := range c.ends {
			d.add(left, n)
		}
		if got := d.rate(); got != c.want {
			t.Errorf("%v: got %v a second, want %v", c.ends, got, c.want)
		}
	}
}

// TestPaceFollowsAnswers looks at a pace once a second.
func TestPaceFollowsAnswers(t *testing.T) {
	p := &pace{}
	now := clock.Instant(1)
	for i, step := range []struct {
		after     time.Duration
		good, bad int
		full      bool
		need      float64
		most      float64
		short     bool
	}{
		{0, 0, 0, false, 20, 50, false},
		{time.Second, 50, 0, false, 20, 100, false},
		{time.Second, 90, 0, false, 150, 180, false},
		{time.Second, 90, 0, true, 150, 180, true},     // no more than 90 are answered
		{time.Second, 180, 20, false, 150, 360, false}, // few fail
		{time.Second, 180, 40, false, 150, 50, true},   // many do
		{time.Second, 0, 0, false, 150, 50, true},      // nothing is known again
		{time.Second, 0, 50, false, 10, 25, false},     // nothing but failures
		{time.Second, 0, 25, false, 10, 12.5, false},   //
		{time.Second, 0, 12, false, 10, 6.25, true},    //
		{time.Second, 0, 6, false, 10, 5, true},        //
		{time.Second, 0, 5, false, 0, 5, false},        // what waits has ended
		{time.Second, 1, 4, false, 0, 50, false},       // the first answer
		{time.Second, 400, 0, false, 1000, 800, true},  // no more than the ceiling helps
		{time.Second / 2, 100, 0, false, 0, 800, true}, // too early to look
		{time.Minute, 0, 0, false, 0, 50, false},       // long ago
		{longestNap - time.Second, 0, 0, false, 0, 50, false},
	} {
		now = now.Add(step.after)
		p.good, p.bad, p.full = p.good+step.good, p.bad+step.bad, step.full
		p.look(now, 1, func() float64 { return step.need })
		if p.most != step.most || p.short != step.short {
			t.Errorf("step %d: at most %v a second, short %v; want %v, %v", i, p.most, p.short, step.most, step.short)
		}
	}
}

// TestValuelessWaitInOrder: customers' credentials without a value come after those with one, the
// first that was due first.
func TestValuelessWaitInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb", "wxc")
		e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: p.catalog()})
		if err != nil {
			t.Fatal(err)
		}
		queue := func(child string, end, now clock.Instant) {
			spec, _ := e.lookup(customer(child, "access_token"))
			en := e.newEntry(&spec)
			if end != 0 {
				en.current.Store(&cached{text: "tok", end: end, life: time.Hour})
				en.outdated = true // it is refreshed, whether it is wanted or not
			}
			en.mu.Lock()
			defer en.mu.Unlock()
			e.queueLocked(en, now)
		}
		queue("wxa", 0, 2)
		queue("wxb", 0, 1)
		queue("wxc", clock.Instant(time.Hour), 3)
		for _, want := range []string{"wxc", "wxb", "wxa"} {
			if en := e.schedule.release(oneHost, anyOwner, false, false, 4); en == nil || en.name != customer(want, "access_token") {
				t.Errorf("got %v, want %s", en, want)
			}
		}
	})
}
