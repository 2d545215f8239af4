package refresh

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestRejectedReplacedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		r.mustGet(app)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				v, err := r.Reject(t.Context(), app, "tok-1")
				if err != nil || v.Text != "tok-2" {
					t.Errorf("got %q, %v; want tok-2", string(v.Text), err)
				}
			})
		}
		wg.Wait()
		if v, err := r.Reject(t.Context(), app, "tok-1"); err != nil || v.Text != "tok-2" {
			t.Errorf("an older value: got %q, %v; want tok-2", string(v.Text), err)
		}
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2", n)
		}
	})
}

func TestRepeatedRejectedRests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := repeating(2*time.Hour, 0, false)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.CorpToken, Fetcher: up})})
		r.mustGet(app)
		for range 30 {
			v, err := r.Reject(t.Context(), app, "tok-1")
			if err != nil || v.Text != "tok-1" {
				t.Fatalf("got %q, %v; want tok-1", string(v.Text), err)
			}
			time.Sleep(time.Second)
		}
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2", n)
		}
		time.Sleep(31 * time.Second)
		if _, err := r.Reject(t.Context(), app, "tok-1"); err != nil {
			t.Fatal(err)
		}
		if n := up.count(); n != 3 {
			t.Errorf("calls after a minute: got %d, want 3", n)
		}
	})
}

// TestRejectCached: where RejectCached answers, Reject would have answered alike and without a
// call; where that takes a call, or has to wait, it does not answer.
func TestRejectCached(t *testing.T) {
	const corpApp = "work/ww1/1000002/access_token"
	bubble(t, func(t *testing.T) {
		up, same := fresh(2*time.Hour), repeating(2*time.Hour, 0, false)
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up},
			Spec{Name: corpApp, Policy: policy.CorpToken, Fetcher: same},
		)})
		rejects := func() int64 { return r.counts.rejects.Load() }
		answers := func(what, name, rejected, want string) {
			t.Helper()
			calls, counted := up.count()+same.count(), rejects()
			v, ok := r.RejectCached([]byte(name), []byte(rejected))
			if ok != (want != "") || string(v.Text) != want {
				t.Fatalf("%s: got %q, %v; want %q", what, string(v.Text), ok, want)
			}
			if n := rejects(); (n == counted+1) != ok {
				t.Errorf("%s: counted %d times; want 1 where it is answered, and 0 where Reject counts", what, n-counted)
			}
			if !ok {
				return
			}
			if slow, err := r.Reject(t.Context(), name, secret.Text(rejected)); err != nil || slow != v {
				t.Errorf("%s: got %+v; want %+v, %v, as Reject answers", what, v, slow, err)
			}
			if n := up.count() + same.count(); n != calls {
				t.Errorf("%s: %d calls, want none", what, n-calls)
			}
		}
		answers("never fetched", app, "tok-0", "")
		answers("unknown", "none", "tok-0", "")
		r.mustGet(app)
		answers("stale", app, "tok-0", "tok-1")
		answers("current", app, "tok-1", "")
		if _, err := r.Reject(t.Context(), app, "tok-1"); err != nil {
			t.Fatal(err)
		}
		answers("replaced", app, "tok-1", "tok-2")

		before := r.index.get(app).lastAsked()
		time.Sleep(time.Minute)
		r.RejectCached([]byte(app), []byte("tok-1"))
		if r.index.get(app).lastAsked() == before {
			t.Error("a client that rejects a stale value does not count as a reader")
		}

		r.mustGet(corpApp)
		answers("not yet repeated", corpApp, "tok-1", "")
		if _, err := r.Reject(t.Context(), corpApp, "tok-1"); err != nil {
			t.Fatal(err)
		}
		answers("repeated", corpApp, "tok-1", "tok-1")
		en := r.index.get(corpApp)
		en.mu.Lock()
		answers("repeated, and its lock is held", corpApp, "tok-1", "")
		en.mu.Unlock()
		time.Sleep(repeatedFor)
		answers("repeated a minute ago", corpApp, "tok-1", "")

		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		time.Sleep(3 * time.Hour)
		answers("expired", app, "tok-1", "")
	})
}

// TestRejectCachedWaitsForLoading: until all is loaded it is not known whether a value is in force.
func TestRejectCachedWaitsForLoading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		children := keep(t, d, keptCustomer{child: "wxa", boot: thisBoot, left: time.Hour})
		d.walk = make(chan struct{})
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
		name := customer("wxa", "access_token")
		if got := r.mustGet(name); got != "kept-wxa" {
			t.Fatalf("got %s, want kept-wxa", got)
		}
		if _, ok := r.RejectCached([]byte(name), []byte("stale")); ok {
			t.Error("answered while loading")
		}
		close(d.walk)
		<-r.Loaded()
		if v, ok := r.RejectCached([]byte(name), []byte("stale")); !ok || v.Text != "kept-wxa" {
			t.Errorf("loaded: got %q, %v; want kept-wxa", string(v.Text), ok)
		}
	})
}

func TestRejectCachedAllocatesNothing(t *testing.T) {
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(time.Hour)})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Get(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	name, stale := []byte(app), []byte(strings.Repeat("v", 512))
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := e.RejectCached(name, stale); !ok {
			t.Fatal("not answered")
		}
	}); n != 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}

func TestFailedReplacementKeepsValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		r.mustGet(app)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		for range 100 {
			_, err := r.Reject(t.Context(), app, "tok-1")
			mustReason(t, err, credential.Unreachable)
		}
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s, want tok-1", got)
		}
		r.mustState(app, credential.Stale)
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2: the error is remembered", n)
		}
	})
}

func TestRejectionsLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		v := r.mustGet(app)
		limited := 0
		for range 3600 {
			got, err := r.Reject(t.Context(), app, token(v, 0).Value)
			if err == nil {
				v = string(got.Text)
			} else {
				mustReason(t, err, credential.Limited)
				limited++
			}
			time.Sleep(time.Second)
		}
		if n := up.count(); n > 67 {
			t.Errorf("calls in an hour of rejections: got %d, want one a minute and a few", n)
		}
		if limited == 0 {
			t.Error("no rejection was refused")
		}
	})
}

// TestRejectionNeverForces: twenty forced refreshes a day are an operator's, and a program that
// rejects all it gets would spend them in ten minutes.
func TestRejectionNeverForces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forced := 0
		up := &upstream{answer: func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Force {
				forced++
				return token(fmt.Sprintf("forced-%d", forced), 2*time.Hour), nil
			}
			return token("same", 2*time.Hour), nil
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		for range 24 * 60 {
			v := r.mustGet(app)
			if got, err := r.Reject(t.Context(), app, secret.Text(v)); err == nil && string(got.Text) != v {
				t.Fatalf("got %s in place of %s", string(got.Text), v)
			}
			time.Sleep(time.Minute)
		}
		if forced != 0 {
			t.Errorf("%d forced refreshes", forced)
		}
		for i := range 20 { // all twenty are still there
			if _, err := r.Refresh(t.Context(), app); err != nil {
				t.Fatalf("forced refresh %d: %v", i+1, err)
			}
			time.Sleep(30 * time.Second)
		}
		_, err := r.Refresh(t.Context(), app)
		mustReason(t, err, credential.Limited)
	})
}
