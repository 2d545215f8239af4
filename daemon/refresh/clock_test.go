package refresh

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// mortalToken is a source whose values die when they say, by true time.
type mortalToken struct {
	upstream
	life time.Duration
}

func newMortalToken(life time.Duration) *mortalToken {
	m := &mortalToken{life: life}
	m.answer = func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
		time.Sleep(50 * time.Millisecond)
		return token(fmt.Sprint(time.Now().Add(life).Unix()), life), nil
	}
	return m
}

// dead reports whether a value that m has given has died.
func (m *mortalToken) dead(value string) bool {
	var ends int64
	_, err := fmt.Sscan(value, &ends)
	return err != nil || time.Now().Unix() > ends
}

// stables returns n credentials that are not asked for before their end is near.
func stables(n int, up Fetcher) []Spec {
	all := corps(n, up)
	for i := range all {
		all[i].Policy = policy.StableToken
	}
	return all
}

// shifted returns a copy of d that looks as if the wall clock had been by further when it was
// written: an engine that starts on it finds the clock set back by as much.
func shifted(d *disk, by time.Duration) *disk {
	to := newDisk()
	for _, table := range []record.Table{record.Credentials, record.Holds, record.Budgets, record.Grants, record.Codes} {
		for r := range d.All(table) {
			_ = to.Store.Put(context.Background(), later(r, by))
		}
	}
	for r := range d.All(record.Keys) {
		_ = to.Store.Put(context.Background(), r)
	}
	return to
}

// TestClockSetOverRestart starts an engine on what another has left, after its wall clock
// was set: in the same boot, which makes no difference, and in another.
func TestClockSetOverRestart(t *testing.T) {
	const n = 200
	for _, tc := range []struct {
		name   string
		set    time.Duration
		reboot bool
		off    time.Duration // how long the host was off in truth
		calls  int           // in the first minute, when nobody asks
	}{
		{"back an hour, the same boot", -time.Hour, false, 0, 0},
		{"forward three hours, the same boot", 3 * time.Hour, false, 0, 0},
		{"forward ten years, the same boot", 10 * 365 * day, false, 0, 0},
		{"back an hour over a boot: fetched when asked for", -time.Hour, true, 10 * time.Minute, 0},
		{"forward three hours over a boot", 3 * time.Hour, true, 10 * time.Minute, n},
		{"back ten years over a boot", -10 * 365 * day, true, 3 * time.Hour, 0},
		{"years later", 0, true, 3 * 365 * day, n},
		{"minutes later, over a boot", 0, true, 10 * time.Minute, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				boot, bootAt := "b1", time.Duration(0)
				up := newMortalToken(2 * time.Hour)
				d := newDisk()
				cfg := func() Config {
					at := bootAt
					return Config{Store: d, Catalog: specs(stables(n, up)...), Boot: boot,
						Boottime: func() time.Duration { return time.Since(began) - at + time.Minute }}
				}
				r := start(t, cfg())
				for i := range n {
					r.mustGet(fmt.Sprintf("work/ww%d/7/access_token", i))
				}
				time.Sleep(30 * time.Minute)
				r.stop()
				time.Sleep(tc.off)
				if tc.reboot {
					boot, bootAt = "b2", time.Since(began)
				}
				d = shifted(d, -tc.set)
				up.mu.Lock()
				up.calls, up.most, up.times = 0, 0, nil
				up.mu.Unlock()
				r = start(t, cfg())
				for range 60 {
					for i := range n {
						name := fmt.Sprintf("work/ww%d/7/access_token", i)
						if v, ok := r.Cached([]byte(name)); ok && up.dead(string(v.Text)) {
							t.Fatalf("%s: %v after the start a dead value is served", name, v.TTL)
						}
					}
					time.Sleep(time.Second)
				}
				synctest.Wait()
				if got := up.count(); got != tc.calls {
					t.Errorf("calls in the first minute: got %d, want %d", got, tc.calls)
				}
				if got := up.atOnce(); got > 8 {
					t.Errorf("calls at once: got %d, want 8 at most", got)
				}
				for range 4 * 60 {
					name := fmt.Sprintf("work/ww%d/7/access_token", n/2)
					if v := r.mustGet(name); up.dead(v) {
						t.Fatalf("%s: a dead value is served", name)
					}
					time.Sleep(time.Minute)
				}
				if got := up.within(time.Minute); got > n+n/2 {
					t.Errorf("calls within a minute: got %d", got)
				}
			})
		})
	}
}

// TestSuspendNoBurst wakes a host after a night, with every value dead.
func TestSuspendNoBurst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 300
		began := time.Now()
		var asleep atomic.Int64
		up := newMortalToken(2 * time.Hour)
		r := start(t, Config{Catalog: specs(stables(n, up)...), Boot: "b1",
			Boottime: func() time.Duration { return time.Since(began) + time.Duration(asleep.Load()) }})
		for i := range n {
			r.mustGet(fmt.Sprintf("work/ww%d/7/access_token", i))
		}
		for range 10 {
			up.mu.Lock()
			up.calls, up.most = 0, 0
			up.mu.Unlock()
			asleep.Add(int64(8 * time.Hour))
			// What the schedule sees after a nap at most, a reader must not wait for.
			r.clock.Resync()
			for i := range n {
				if _, ok := r.Cached(fmt.Appendf(nil, "work/ww%d/7/access_token", i)); ok {
					t.Fatal("a value that died in suspend is served")
				}
			}
			time.Sleep(longestNap + time.Minute)
			synctest.Wait()
			if got := up.count(); got != n {
				t.Errorf("calls after a suspend: got %d, want %d", got, n)
			}
			if got := up.atOnce(); got > 8 {
				t.Errorf("calls at once: got %d, want 8 at most", got)
			}
		}
	})
}
