package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

const (
	corpApp = "work/ww1/1/access_token"
	down    = "work/ww1/1/ww2/access_token"
)

// downstreams is an app with downstream corps. WeChat takes its newest token.
type downstreams struct {
	app, token *upstream
	target     string
	settings   string
	names      []string
	boot       string
	boottime   func() time.Duration
}

func newDownstreams(names ...string) *downstreams {
	d := &downstreams{app: fresh(2 * time.Hour), token: fresh(2 * time.Hour), target: "5/1", settings: "1", names: names,
		boot: thisBoot, boottime: bootedNow()}
	d.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
		if want := secret.Text(fmt.Sprint("tok-", d.app.count())); ask.Parent != want {
			return fetchers.Token{}, refusal(42001, fetchers.ParentDead)
		}
		return token(fmt.Sprint("down-", n), 2*time.Hour), nil
	})
	return d
}

func (d *downstreams) catalog() catalog {
	c := specs(Spec{Name: corpApp, Policy: policy.CorpToken, Fetcher: d.app})
	for _, name := range d.names {
		c[name] = Spec{Name: name, Policy: policy.DownstreamToken, Parent: corpApp, Account: name, Owner: "work/ww1",
			Settings: d.settings, Target: d.target, Fetcher: d.token}
	}
	return c
}

func (d *downstreams) start(t *testing.T, store *disk) *rig {
	return start(t, Config{Store: store, Catalog: d.catalog(), Boot: d.boot, Boottime: d.boottime})
}

// listed returns the state of name in a list.
func (r *rig) listed(name string) string {
	_, all := r.List(nil, name, nil)
	for l := range all {
		if l.Name == name {
			return l.State.String()
		}
	}
	return "none"
}

func TestDownstreamInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDownstreams(down)
		var made time.Time
		values := 0
		d.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			if time.Since(made) >= 2*time.Hour-5*time.Minute { // WeCom repeats it until then
				made = time.Now()
				values++
			}
			return token(fmt.Sprint("down-", values), 2*time.Hour-time.Since(made)), nil
		})
		r := d.start(t, newDisk())
		r.mustGet(down)
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if _, ok := r.Cached([]byte(down)); !ok {
				t.Fatal("a reader had to wait for a token in use")
			}
		}
		if values < 12 || d.token.count() > 12*values {
			t.Errorf("%d values and %d calls in a day, want a value for each lifetime", values, d.token.count())
		}
	})
}

func TestDownstreamLapses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, store := newDownstreams(down), newDisk()
		r := d.start(t, store)
		if got := r.listed(down); got != "idle" {
			t.Errorf("before the first request it is listed as %s", got)
		}
		r.mustGet(down)
		_, _, w := r.Watch(nil, down, nil)
		defer w.Close()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := d.token.count(); n != 1 {
			t.Errorf("%d calls for a token that nobody uses, want 1", n)
		}
		if store.has(record.Credentials, down) {
			t.Error("its value is still on disk")
		}
		told, _ := w.Take()
		if len(told) == 0 || told[len(told)-1].State != credential.Idle || r.listed(down) != "idle" {
			t.Errorf("watchers were notified of %v, and it is listed as %s; want idle", told, r.listed(down))
		}
		r.mustGet(down)
		r.mustState(down, credential.Fresh)
	})
}

// TestDownstreamHoldKept: a restart, or that nobody asks for long, ends no hold.
func TestDownstreamHoldKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, store := newDownstreams(down), newDisk()
		d.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(301002, fetchers.Misconfigured)
		})
		r := d.start(t, store)
		for run := range 5 {
			for range 10 {
				_, err := r.get(down)
				mustReason(t, err, credential.Refused)
			}
			r.stop()
			r = d.start(t, store)
			if got := r.listed(down); got != "held" {
				t.Errorf("after run %d it is listed as %s, want held", run, got)
			}
		}
		if n := d.token.count(); n != 1 {
			t.Errorf("%d calls in 5 runs, want 1", n)
		}
		d.settings = "2"
		r.SetCatalog(d.catalog())
		_, err := r.get(down)
		if mustReason(t, err, credential.Refused); d.token.count() != 2 {
			t.Errorf("%d calls after a change of the configuration, want 2", d.token.count())
		}

		time.Sleep(12 * time.Hour) // it lapses
		if store.has(record.Credentials, down) || r.index.get(down) != nil {
			t.Error("it has not lapsed")
		}
		r.mustState(down, credential.Held)
		d.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("a", time.Hour), nil })
		r.mustGet(down)
		if store.has(record.Holds, down) {
			t.Error("its hold is on disk after a success")
		}
	})
}

// TestTargetOnDisk: what is written later than a value came tells its target too.
func TestTargetOnDisk(t *testing.T) {
	for name, rewrite := range map[string]func(d *downstreams, r *rig, store *disk){
		"by the disk that had refused it": func(_ *downstreams, r *rig, store *disk) {
			store.fail(errors.New("full"))
			if _, err := r.Refresh(r.t.Context(), down); err != nil {
				r.t.Error(err)
			}
			store.fail(nil)
			time.Sleep(time.Minute)
		},
		"after another boot": func(d *downstreams, r *rig, _ *disk) {
			r.stop()
			d.boot, d.boottime = "boot-later", bootedNow()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, store := newDownstreams(down), newDisk()
				r := d.start(t, store)
				r.mustGet(down)
				rewrite(d, r, store)
				want := d.token.count()
				for range 2 {
					r.stop()
					r = d.start(t, store)
					time.Sleep(time.Second) // until it is rewritten
				}
				if r.mustGet(down); d.token.count() != want {
					t.Errorf("%d calls, want %d", d.token.count(), want)
				}
			})
		})
	}
}

// TestDownstreamDeadParent: however many tokens the app's dead one was to fetch, it is replaced
// once.
func TestDownstreamDeadParent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var names []string
		for i := range 200 {
			names = append(names, fmt.Sprintf("work/ww1/1/ww%d/access_token", i+2))
		}
		d := newDownstreams(names...)
		r := d.start(t, newDisk())
		r.mustGet(corpApp)
		_, _ = d.app.Fetch(t.Context(), fetchers.Ask{}) // by another program: WeChat takes that token
		var wg sync.WaitGroup
		for _, name := range names {
			wg.Go(func() { r.mustGet(name) })
		}
		wg.Wait()
		if n := d.app.count(); n != 3 {
			t.Errorf("%d calls for the app's token, want 2 and the other program's", n)
		}
		values := map[string]bool{}
		for _, name := range names {
			values[r.mustGet(name)] = true
		}
		if len(values) != len(names) {
			t.Errorf("%d values of %d downstream corps", len(values), len(names))
		}
	})
}

// TestTargetChanged: a name whose target has changed is another credential, and what was fetched
// for the one before is not served.
func TestTargetChanged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, d *downstreams, r *rig, store *disk) *rig
	}{
		{"reload", func(_ *testing.T, d *downstreams, r *rig, _ *disk) *rig {
			r.SetCatalog(d.catalog())
			return r
		}},
		{"restart", func(t *testing.T, d *downstreams, r *rig, store *disk) *rig {
			r.stop()
			return d.start(t, store)
		}},
		{"read while it is loaded", func(t *testing.T, d *downstreams, r *rig, store *disk) *rig {
			r.stop()
			store.walk = make(chan struct{})
			r = start(t, Config{Store: store, Catalog: d.catalog(), Boot: d.boot, Boottime: d.boottime, Ahead: true})
			time.AfterFunc(time.Second, func() { close(store.walk) })
			return r
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, target := range []string{"5/1", "5/0", "6/1"} {
				bubble(t, func(t *testing.T) {
					d, store := newDownstreams(down), newDisk()
					r := d.start(t, store)
					old := r.mustGet(down)
					d.target, d.settings = target, "2"
					r = tc.change(t, d, r, store)
					if got := r.mustGet(down); (got == old) != (target == "5/1") {
						t.Errorf("target 5/1, then %s: served %s, and before %s", target, got, old)
					}
					r.stop()
					if r = d.start(t, store); d.token.count() > 2 {
						t.Errorf("%d calls", d.token.count())
					}
					now := r.mustGet(down)
					if n := d.token.count(); n > 2 || (now == old) != (target == "5/1") {
						t.Errorf("after another start: %d calls, served %s", n, now)
					}
				})
			}
		})
	}
}

// TestTargetChangedInFlight: what a call brings that was made before the change is served to no
// reader after it.
func TestTargetChangedInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, store := newDownstreams(down), newDisk()
		r := d.start(t, store)
		r.mustGet(corpApp)
		slow := make(chan struct{})
		d.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n == 1 {
				<-slow
			}
			return token(fmt.Sprint("down-", n), 2*time.Hour), nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.get(down) })
		synctest.Wait()
		d.target, d.settings = "6/1", "2"
		r.SetCatalog(d.catalog())
		wg.Go(func() {
			if got := r.mustGet(down); got != "down-2" {
				t.Errorf("served %s, want what was fetched after the change", got)
			}
		})
		synctest.Wait()
		close(slow)
		wg.Wait()
		v, err := store.Get(record.Credentials, down)
		c, derr := record.DecodeCredential(v)
		if err != nil || derr != nil || c.Value != "down-2" || c.Target != "6/1" {
			t.Errorf("on disk: %s of %s, %v, %v", c.Value, c.Target, err, derr)
		}
	})
}

// TestDownstreamNames: names that only differ in where they are cut have nothing in common.
func TestDownstreamNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		long := strings.Repeat("w", 64)
		names := []string{
			"work/ww1/1/ww2/access_token", "work/ww1/1/ww3/access_token", "work/ww1/12/ww2/access_token",
			"work/ww11/2/ww2/access_token", "work/ww1/1.ww2/a/access_token", "work/ww1/1/ww2.a/access_token",
			"work/ww1/1/access_token/access_token", "work/ww1/1/jsapi_ticket/access_token",
			"work/" + long + "/" + long + "/" + long + "/access_token", "work/" + long + "/" + long + "/" + long[1:] + "/access_token",
		}
		d, store := newDownstreams(names...), newDisk()
		r := d.start(t, store)
		before := map[string]string{}
		for _, name := range names {
			before[r.mustGet(name)] = name
		}
		r.stop()
		r = d.start(t, store)
		for _, name := range names {
			if v := r.mustGet(name); before[v] != name {
				t.Errorf("%s: got the value of %q", name, before[v])
			}
		}
		if n := d.token.count(); n != len(names) {
			t.Errorf("%d calls for %d names", n, len(names))
		}
		if r.mustGet(names[0]) == "" || r.listed(names[8]) != "fresh" {
			t.Errorf("the longest name is listed as %s", r.listed(names[8]))
		}
	})
}

// TestDownstreamIsNoCustomer: what is configured is shown by name, and not counted besides.
func TestDownstreamIsNoCustomer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDownstreams(down)
		r := d.start(t, newDisk())
		r.mustGet(down)
		if c := r.Census().Customers; len(c) != 0 {
			t.Errorf("customers: got %v", c)
		}
		if all := overview(r); !slices.ContainsFunc(all, func(s credential.Status) bool {
			return s.Name == down && s.Parent == corpApp && s.Kind == "downstream_token"
		}) {
			t.Errorf("overview: got %v", all)
		}
	})
}
