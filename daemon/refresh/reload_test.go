package refresh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestCallUsesCurrentConfiguration changes a secret while the parent is being asked for.
func TestCallUsesCurrentConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		parent := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(5 * time.Second)
			return token("parent", 2*time.Hour), nil
		}}
		before := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40001, fetchers.Misconfigured)
		}}
		after := fresh(2 * time.Hour)
		of := func(up *upstream, settings string) catalog {
			return specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: parent},
				Spec{Name: tick, Policy: policy.Ticket, Parent: app, Settings: settings, Fetcher: up})
		}
		r := start(t, Config{Catalog: of(before, "wrong")})
		done := make(chan error)
		go func() {
			_, err := r.get(tick)
			done <- err
		}()
		time.Sleep(time.Second)
		r.SetCatalog(of(after, "right"))
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if before.count() != 0 || after.count() != 1 {
			t.Errorf("calls: got %d by the configuration of before and %d by the one in force, want 0 and 1", before.count(), after.count())
		}
	})
}

// TestChangedSecretTriedAtOnce holds that a changed secret is tried while the value that it is to
// replace is served, and that nothing else is fetched because of a reload.
func TestChangedSecretTriedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		stable, child, idle := fresh(2*time.Hour), fresh(2*time.Hour), fresh(2*time.Hour)
		var right atomic.Bool
		right.Store(true)
		for _, up := range []*upstream{stable, p.component} {
			up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
				configured := right.Load()
				time.Sleep(time.Second)
				if configured {
					return token(fmt.Sprint("tok-", n), 2*time.Hour), nil
				}
				return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
			})
		}
		with := func(settings string) catalog {
			c := p.catalog()
			for name, s := range c {
				s.Settings = settings
				c[name] = s
			}
			c[app] = Spec{Name: app, Account: app, Policy: policy.StableToken, Fetcher: stable, Settings: settings}
			c[tick] = Spec{Name: tick, Account: tick, Policy: policy.Ticket, Parent: app, Fetcher: child, Settings: settings}
			c[app2] = Spec{Name: app2, Account: app2, Policy: policy.StableToken, Fetcher: idle, Settings: settings}
			return c
		}
		r := start(t, Config{Catalog: with("v1")})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustGet(customer("wxa", "access_token"))
		r.mustGet(tick)
		calls := func() [5]int {
			return [5]int{stable.count(), p.component.count(), child.count(), p.token.count(), idle.count()}
		}
		reload := func(settings string, want [5]int, state credential.State) {
			t.Helper()
			before := calls()
			r.SetCatalog(with(settings))
			for range 10 {
				r.mustGet(app)
				r.mustGet(component)
				time.Sleep(time.Second)
			}
			got := calls()
			for i := range got {
				got[i] -= before[i]
			}
			if got != want {
				t.Errorf("calls: got %v, want %v", got, want)
			}
			for _, name := range []string{app, component} {
				r.mustState(name, state)
			}
		}
		reload("v1", [5]int{}, credential.Fresh)
		right.Store(false)
		reload("v2", [5]int{1, 1}, credential.Stale)
		right.Store(true)
		reload("v3", [5]int{1, 1}, credential.Fresh)
		// A fetch that is under way is one by the secret of before.
		go func() { _, _ = r.Refresh(t.Context(), app) }()
		synctest.Wait()
		right.Store(false)
		reload("v4", [5]int{1, 1}, credential.Stale)
		if s, _ := r.Status(app); s.ErrCode != 40125 {
			t.Errorf("errcode %d", s.ErrCode)
		}
	})
}

// changing is a catalog that is replaced while a name is being looked up in it.
type changing struct {
	catalog
	change func() // nil for not now
}

func (c *changing) Lookup(name string) (Spec, error) {
	s, err := c.catalog.Lookup(name)
	if f := c.change; f != nil {
		c.change = nil
		f()
	}
	return s, err
}

// TestReloadDuringLookup holds that an entry that is made by a configuration that is replaced at
// this moment follows the one in force.
func TestReloadDuringLookup(t *testing.T) {
	made := func(r *rig, c *changing, after catalog) {
		c.change = func() { r.SetCatalog(after) }
		_, _ = r.get(app)
		if c.change != nil {
			r.t.Fatal("the configuration did not change")
		}
	}
	t.Run("removed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			up := fresh(2 * time.Hour)
			c := &changing{catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})}
			r := start(t, Config{Catalog: c})
			made(r, c, specs())
			if r.index.get(app) != nil || up.count() != 0 {
				t.Errorf("there is an entry, or one of %d calls was made for it", up.count())
			}
		})
	})
	t.Run("another secret", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			before, after := fresh(2*time.Hour), fresh(2*time.Hour)
			of := func(settings string, up *upstream) catalog {
				return specs(Spec{Name: app, Policy: policy.StableToken, Settings: settings, Fetcher: up})
			}
			c := &changing{catalog: of("v1", before)}
			r := start(t, Config{Catalog: c})
			made(r, c, of("v2", after))
			r.SetCatalog(of("v2", after)) // the same again
			time.Sleep(time.Minute)
			if before.count() != 0 || after.count() != 1 {
				t.Errorf("calls: got %d and %d, want 0 and 1", before.count(), after.count())
			}
		})
	})
}

// TestReloadKeepsNewHold holds that a reload leaves the record of a hold that the changed settings
// caused during it.
func TestReloadKeepsNewHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		of := func(settings string, fails error) catalog {
			return specs(Spec{Name: app, Policy: policy.StableToken, Settings: settings, Fetcher: &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return token("tok", time.Hour), fails
			}}})
		}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: of("v1", nil)})
		r.mustGet(app)
		c := &changing{catalog: of("v2", away())}
		c.change = func() {
			_, err := r.Refresh(t.Context(), app)
			mustReason(t, err, credential.Unreachable)
		}
		r.SetCatalog(c)
		r.mustState(app, credential.Stale)
		if !d.has(record.Holds, app) {
			t.Error("the hold is not on disk: a restart makes a call at once")
		}
	})
}

// TestReloadDuringWrite holds that an answer to a call by the configuration of before counts for
// nothing if that was replaced while the disk was writing what follows from the answer.
func TestReloadDuringWrite(t *testing.T) {
	reload := func(d *disk, r *rig, c catalog) {
		synctest.Wait()
		var done sync.WaitGroup
		done.Go(func() { r.SetCatalog(c) })
		synctest.Wait()
		close(d.gate)
		done.Wait()
		synctest.Wait()
	}
	t.Run("of a hold", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
			}}
			of := func(settings string, up *upstream) catalog {
				return specs(Spec{Name: app, Policy: policy.StableToken, Settings: settings, Fetcher: up})
			}
			d := newDisk()
			r := start(t, Config{Store: d, Catalog: of("wrong", wrong)})
			d.gate = make(chan struct{})
			var got error
			var done sync.WaitGroup
			done.Go(func() { _, got = r.get(app) })
			d.gate <- struct{}{} // the note that a call is made
			reload(d, r, of("right", fresh(2*time.Hour)))
			if done.Wait(); got != nil || wrong.count() != 1 {
				t.Errorf("got %v after %d calls with the wrong secret", got, wrong.count())
			}
			if d.has(record.Holds, app) {
				t.Error("the hold is on disk")
			}
		})
	})
	t.Run("of a value, removed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			d := newDisk()
			r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)})})
			_, _, w := r.Watch(nil, app, nil)
			defer w.Close()
			d.gate = make(chan struct{})
			var done sync.WaitGroup
			done.Go(func() { _, _ = r.get(app) })
			d.gate <- struct{}{} // the note that a call is made
			reload(d, r, specs())
			done.Wait()
			if told := drain(t, w); len(told) == 0 || told[len(told)-1].State != credential.Expired {
				t.Errorf("watchers were notified of %v, want expired last", told)
			}
			if d.has(record.Credentials, app) || d.has(record.Holds, app) {
				t.Error("a record of it is on disk")
			}
		})
	})
}

// TestUnconfiguredGrantsNotListed: of an account that was taken out of the
// configuration nothing is to be seen, by whatever verb; its customers' grants are kept, and back
// with it.
func TestUnconfiguredGrantsNotListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		r := start(t, Config{Catalog: p.catalog()})
		for _, c := range p.children {
			r.mustPut(customer(c, "refresh_token"), "refresh")
		}
		want := func(n int) {
			t.Helper()
			if got, _ := r.List(nil, platform+"/wx", nil); got != n {
				t.Errorf("%d grants are listed, want %d", got, n)
			}
			_, err := r.Status(customer("wxa", "refresh_token"))
			if (err == nil) != (n > 0) {
				t.Errorf("status: %v", err)
			}
		}
		want(2)
		r.SetCatalog(specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}))
		want(0)
		r.SetCatalog(p.catalog())
		want(2)
	})
}

// TestReloadOnRefusingDisk: a hold that a reload has ended does not return after a restart,
// although the disk refused to delete its record during the reload.
func TestReloadOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up, d := fresh(time.Minute), newDisk()
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		})
		cfg := Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})}
		r := start(t, cfg)
		_, err := r.get(app)
		mustReason(t, err, credential.Refused)
		up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			return token(fmt.Sprint("tok-", n), time.Minute), nil
		})
		d.fail(errPath)
		r.SetCatalog(cfg.Catalog)
		d.fail(nil)
		r.mustGet(app)
		r.stop()
		if d.has(record.Holds, app) {
			t.Error("the hold is still on disk")
		}
		time.Sleep(2 * time.Minute) // the value has ended
		start(t, cfg).mustGet(app)
	})
}
