package refresh

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// clocks are a host's. The wall clock is the bubble's, and so is the monotonic one.
type clocks struct {
	mu     sync.Mutex
	booted time.Time     // on the wall clock as it is now
	stands time.Duration // what the clock of the boot shows while the wall clock is being set; zero otherwise
}

func (c *clocks) boottime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stands != 0 {
		return c.stands
	}
	return time.Since(c.booted)
}

// set sets the wall clock forward.
func (c *clocks) set(by time.Duration) {
	at := c.boottime()
	c.mu.Lock()
	c.stands = at
	c.mu.Unlock()
	time.Sleep(by)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.booted, c.stands = time.Now().Add(-at), 0
}

// pass lets time pass that the wall clock does not show: it is set back by as much.
func (c *clocks) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.booted = c.booted.Add(-d)
}

// lateHost is a host without a clock that runs while it is off. After its second boot the wall
// clock is behind, until it is set.
type lateHost struct {
	*disk
	clocks
	p    *platformOf
	boot string
}

// newLateHost returns a host that was off for off, which its wall clock has not seen. Before that
// it has fetched a token and a ticket for a customer; the ticket of the platform was pushed then.
func newLateHost(t *testing.T, off time.Duration) *lateHost {
	h := &lateHost{disk: newDisk(), p: newPlatform("wxa"), boot: "boot-1"}
	h.booted = time.Now().Add(-time.Hour)
	r := start(t, h.config())
	r.mustPut(customer("wxa", "refresh_token"), "refresh")
	r.mustPush("ticket", time.Now())
	r.mustGet(customer("wxa", "jsapi_ticket"))
	r.stop()
	time.Sleep(off)
	h.disk = shifted(h.disk, off)
	h.booted, h.boot = time.Now().Add(-time.Minute), "boot-2"
	return h
}

func (h *lateHost) config() Config {
	return Config{Hosts: bothHosts, Store: h.disk, Catalog: h.p.catalog(), Boot: h.boot, Boottime: h.boottime}
}

// engine returns an engine that nobody runs: what it does not do at once it never does.
func (h *lateHost) engine(t *testing.T) *rig {
	e, err := New(h.config())
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Engine: e, t: t}
}

// mustServe holds for how long each is served; zero for not at all.
func (r *rig) mustServe(want map[string]time.Duration) {
	r.t.Helper()
	r.clock.Resync() // which finds out by itself where the monotonic clock is not the wall clock
	for name, ttl := range want {
		v, ok := r.Cached([]byte(name))
		if ok != (ttl > 0) || v.TTL.Round(time.Second) != ttl {
			r.t.Errorf("%s: served for %v, want %v", name, v.TTL, ttl)
		}
	}
}

// TestWallClockSetAfterBoot holds that values of the boot before are dated again as soon as the
// wall clock is set forward: those that died while the host was off are not served any more.
func TestWallClockSetAfterBoot(t *testing.T) {
	name, ticket := customer("wxa", "access_token"), customer("wxa", "jsapi_ticket")
	nobodyKnows := map[string]time.Duration{component: 2 * time.Hour, name: 2 * time.Hour, ticket: 2 * time.Hour, verify: 12 * time.Hour}
	dead := map[string]time.Duration{component: 0, name: 0, ticket: 0, verify: 9 * time.Hour}
	for what, f := range map[string]func(t *testing.T, h *lateHost){
		"at once": func(t *testing.T, h *lateHost) {
			r := h.engine(t)
			r.mustServe(nobodyKnows)
			h.set(3 * time.Hour)
			r.mustServe(dead)
			r.mustState(verify, credential.Fresh)
			r.mustState(name, credential.Expired)
		},
		"bit by bit": func(t *testing.T, h *lateHost) {
			r := h.engine(t)
			for range 100 {
				h.set(108 * time.Second)
				r.clock.Resync()
				r.Now()
			}
			r.mustServe(dead)
		},
		"a restart before": func(t *testing.T, h *lateHost) {
			r := start(t, h.config()) // which dates the records by this boot's clock
			synctest.Wait()
			r.stop()
			if c, _ := h.Get(record.Credentials, name); len(r.redated(c)) != 0 {
				t.Error("the records are still dated by the boot before")
			}
			r = h.engine(t)
			r.mustServe(nobodyKnows)
			h.set(3 * time.Hour)
			r.mustServe(dead)
		},
		"before a restart": func(t *testing.T, h *lateHost) {
			r := start(t, h.config())
			synctest.Wait()
			r.stop()
			h.set(3 * time.Hour)
			h.engine(t).mustServe(dead)
		},
		"while loading": func(t *testing.T, h *lateHost) {
			r := start(t, h.config())
			synctest.Wait()
			r.stop()
			h.set(3 * time.Hour)
			h.walk = make(chan struct{})
			cfg := h.config()
			cfg.Ahead = true
			r = start(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if v, err := r.Get(ctx, name); err == nil {
				t.Errorf("a dead value is served for %v while loading", v.TTL)
			}
			close(h.walk)
		},
		"between two reads of the loading": func(t *testing.T, h *lateHost) {
			h.walk = make(chan struct{})
			cfg := h.config()
			cfg.Ahead = true
			r := start(t, cfg)
			for range 3 { // of four
				h.walk <- struct{}{}
			}
			synctest.Wait()
			h.set(3 * time.Hour)
			r.clock.Resync()
			r.Now()
			close(h.walk)
			r.awaitLoaded()
			r.mustServe(map[string]time.Duration{name: 0, ticket: 0})
		},
		"between the start and the loading": func(t *testing.T, h *lateHost) {
			h.walk = make(chan struct{})
			cfg := h.config()
			cfg.Ahead = true
			r := start(t, cfg)
			synctest.Wait()
			h.set(3 * time.Hour)
			r.clock.Resync()
			close(h.walk)
			<-r.Loaded()
			r.mustServe(map[string]time.Duration{verify: 9 * time.Hour})
		},
		"back between the start and the loading": func(t *testing.T, h *lateHost) {
			h.walk = make(chan struct{})
			cfg := h.config()
			cfg.Ahead = true
			r := start(t, cfg)
			synctest.Wait()
			h.pass(time.Hour)
			r.clock.Resync()
			close(h.walk)
			<-r.Loaded()
			h.set(time.Hour) // and is right again
			r.mustServe(map[string]time.Duration{verify: 11 * time.Hour})
		},
		"seen by the schedule": func(t *testing.T, h *lateHost) {
			r := start(t, h.config())
			synctest.Wait()
			before := h.p.component.count()
			h.set(3 * time.Hour)
			r.stop()
			if n := h.p.component.count() - before; n != 1 {
				t.Errorf("the platform's token was fetched %d times, want once", n)
			}
		},
		"what was fetched since": func(t *testing.T, h *lateHost) {
			r := h.engine(t)
			if _, err := r.Refresh(t.Context(), component); err != nil {
				t.Fatal(err)
			}
			h.set(3 * time.Hour)
			r.mustServe(map[string]time.Duration{component: 2 * time.Hour, name: 0})
		},
		"while a repetition is written": func(t *testing.T, h *lateHost) {
			h.p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return token("tok-1", 2*time.Hour), nil
			})
			h.gate = make(chan struct{})
			r := h.engine(t)
			done := make(chan error)
			go func() { _, err := r.Refresh(t.Context(), component); done <- err }()
			h.gate <- struct{}{} // the note that a call is made
			synctest.Wait()
			h.set(3 * time.Hour)
			r.clock.Resync()
			r.Now()
			close(h.gate)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if v, ok := r.Cached([]byte(component)); ok && v.TTL > pastEnd {
				t.Errorf("a value that was repeated after its end is served for %v", v.TTL)
			}
		},
		"set back": func(t *testing.T, h *lateHost) {
			r := h.engine(t)
			h.pass(time.Hour)
			want := map[string]time.Duration{component: time.Hour, name: time.Hour, ticket: time.Hour, verify: 11 * time.Hour}
			r.mustServe(want)
			h.set(time.Hour) // and is right again
			r.mustServe(want)
		},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) { f(t, newLateHost(t, 3*time.Hour)) })
		})
	}
}

// TestNothingToRedate holds that setting the wall clock forward changes and logs nothing where
// no value is of the boot before.
func TestNothingToRedate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &lateHost{disk: newDisk(), p: newPlatform(), boot: "boot-1"}
		h.booted = time.Now()
		r := start(t, h.config())
		r.mustPush("ticket", time.Now())
		h.set(time.Hour)
		r.mustServe(map[string]time.Duration{verify: 12 * time.Hour})
		r.clock.Resync()
		r.Now()
		if strings.Contains(r.log(), "ages of values") {
			t.Error("the log says that ages were corrected")
		}
	})
}

// TestLifeBoundedOverABoot holds that a wall clock that was set back over a boot, by too little to
// be noticed, makes nothing live longer than it had left when it was seen last.
func TestLifeBoundedOverABoot(t *testing.T) {
	for _, back := range []time.Duration{0, slack / 2} {
		bubble(t, func(t *testing.T) {
			h := newLateHost(t, 0)
			h.disk = shifted(h.disk, back)
			h.engine(t).mustServe(map[string]time.Duration{component: 2 * time.Hour, verify: 12 * time.Hour})
		})
	}
}
