package refresh

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

func TestNewestTicketKept(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pushes []string // value@seconds relative to now
		want   string
		life   time.Duration
	}{
		{"in order", []string{"a@-20", "b@-10"}, "b", 12*time.Hour - 10*time.Second},
		{"out of order", []string{"b@-10", "a@-20"}, "b", 12*time.Hour - 10*time.Second},
		{"twice", []string{"b@-10", "b@-10"}, "b", 12*time.Hour - 10*time.Second},
		{"the same second, another value", []string{"a@-10", "b@-10"}, "b", 12*time.Hour - 10*time.Second},
		{"a replay of hours ago", []string{"b@-10", "a@-30000"}, "b", 12*time.Hour - 10*time.Second},
		{"an old one on an empty store lives from its arrival", []string{"a@-3000"}, "a", 12 * time.Hour},
		{"from the future counts as of now", []string{"a@86400", "b@5"}, "b", 12*time.Hour + 5*time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform()
				r := start(t, Config{Catalog: p.catalog()})
				now := time.Now()
				for _, push := range tc.pushes {
					var at int
					value, stamp, _ := strings.Cut(push, "@")
					if _, err := fmt.Sscan(stamp, &at); err != nil {
						t.Fatal(err)
					}
					r.mustPush(value, now.Add(time.Duration(at)*time.Second))
				}
				v, err := r.Get(t.Context(), verify)
				if err != nil || string(v.Text) != tc.want || v.TTL != tc.life {
					t.Errorf("got %q for %v, %v; want %q for %v", string(v.Text), v.TTL, err, tc.want, tc.life)
				}
				if n := p.component.count() + p.token.count(); n != 0 {
					t.Errorf("calls because of a push: %d", n)
				}
			})
		})
	}
}

// TestPutReplacesFutureTicket: WeChat's clock may be ahead of the host's by
// minutes, and a ticket that is acknowledged to an operator must not be passed over for that.
func TestPutReplacesFutureTicket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("pushed", time.Now().Add(5*time.Minute))
		r.mustPut(verify, "by-hand")
		v, err := r.Get(t.Context(), verify)
		if err != nil || v.Text != "by-hand" || v.TTL != 12*time.Hour {
			t.Errorf("got %q for %v, %v; want what was put, for 12h", string(v.Text), v.TTL, err)
		}
		r.mustPush("straggler", time.Now().Add(time.Minute))
		if got := r.mustGet(verify); got != "by-hand" {
			t.Errorf("got %s: it is older than what was put", got)
		}
		r.stop()
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("next", time.Now().Add(6*time.Minute))
		if got := r.mustGet(verify); got != "next" {
			t.Errorf("got %s, want the next push", got)
		}
	})
}

// TestUndatedPush holds that a push without a time of its own, which may be a replay of any age,
// replaces no ticket that has one and has not ended, and that there is a ticket all the same where
// WeChat states no time.
func TestUndatedPush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform(), newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		var none time.Time
		want := func(value string, life time.Duration) {
			t.Helper()
			v, err := r.Get(t.Context(), verify)
			if err != nil || string(v.Text) != value || v.TTL != life {
				t.Errorf("got %q for %v, %v; want %q for %v", string(v.Text), v.TTL, err, value, life)
			}
		}
		r.mustPush("first", none)
		want("first", 12*time.Hour)
		r.mustPush("second", none)
		r.stop()
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		want("second", 12*time.Hour)
		time.Sleep(time.Hour)
		r.mustPush("straggler", time.Now().Add(-3*time.Hour))
		want("second", 11*time.Hour)
		r.mustPush("dated", time.Now().Add(-time.Minute))
		want("dated", 12*time.Hour-time.Minute)
		for _, ahead := range []time.Duration{0, time.Hour, 11*time.Hour - 2*time.Minute} {
			time.Sleep(ahead)
			r.mustPush("second", none)
			if got := r.mustGet(verify); got != "dated" {
				t.Errorf("%v later: got %s, which has no time", ahead, got)
			}
		}
		time.Sleep(time.Hour)
		r.mustState(verify, credential.Waiting)
		r.mustPush("third", none)
		want("third", 12*time.Hour)
		r.mustPut(verify, "by-hand")
		want("by-hand", 12*time.Hour)
		r.mustPush("third", none)
		want("by-hand", 12*time.Hour)
	})
}

// TestTicketsOfOneSecond holds that what was put does not outrank, by its fraction of a second, a
// ticket that WeChat pushed in the same second.
func TestTicketsOfOneSecond(t *testing.T) {
	for _, late := range []time.Duration{0, 13 * time.Hour} {
		t.Run(fmt.Sprint("arrives ", late, " later"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := start(t, Config{Catalog: newPlatform().catalog()})
				stamp := time.Now()
				time.Sleep(300 * time.Millisecond)
				r.mustPut(verify, "by-hand")
				time.Sleep(late)
				r.mustPush("pushed", stamp)
				if got := r.mustGet(verify); got != "pushed" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestTicketFromAhead holds that a ticket whose time is ahead by up to ten minutes is replaced when
// that time has come, or at once by what is put: until then it is valid, and the order is WeChat's.
func TestTicketFromAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, Config{Catalog: newPlatform().catalog()})
		r.mustPush("ahead", time.Now().Add(10*time.Minute))
		for i := range 10 {
			r.mustPush(fmt.Sprint("push-", i), time.Now())
			if got := r.mustGet(verify); got != "ahead" {
				t.Errorf("after %d minutes: got %s", i, got)
			}
			time.Sleep(time.Minute)
		}
		r.mustPush("next", time.Now())
		if got := r.mustGet(verify); got != "next" {
			t.Errorf("after ten minutes: got %s", got)
		}
		r.mustPush("ahead again", time.Now().Add(10*time.Minute))
		r.mustPut(verify, "by-hand")
		if got := r.mustGet(verify); got != "by-hand" {
			t.Errorf("got %s, want what was put", got)
		}
	})
}

func TestRequestWaitsForTicket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustState(verify, credential.Waiting)
		for range 20 {
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, credential.NoTicket)
			time.Sleep(time.Second)
		}
		if n := p.component.count() + p.token.count(); n != 0 {
			t.Errorf("calls without a ticket: %d", n)
		}
		r.mustPush("ticket", time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		if v, ok := r.Cached([]byte(customer("wxa", "access_token"))); !ok || v.Text != "tok-1" {
			t.Errorf("a second after the push: got %q, %v", string(v.Text), ok)
		}
		calls := p.component.count() + p.token.count()
		r.mustPush("ticket-2", time.Now())
		time.Sleep(time.Minute)
		if n := p.component.count() + p.token.count() - calls; n != 0 {
			t.Errorf("a new ticket alone made %d calls", n)
		}
		// All of it is there after a kill.
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		if got := r2.mustGet(verify); got != "ticket-2" {
			t.Errorf("after a kill: got %s", got)
		}
		r2.mustGet(customer("wxa", "access_token"))
		if n := p.component.count() + p.token.count() - calls; n != 0 {
			t.Errorf("calls after a kill: %d", n)
		}
	})
}

func TestTicketExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		r.mustState(verify, credential.Stale)
		if n := p.nudges.Load(); n != 1 {
			t.Errorf("after half an hour without a push: WeChat was asked %d times, want once", n)
		}
		time.Sleep(3 * time.Hour)
		if n := p.nudges.Load(); n != 4 {
			t.Errorf("after three more hours: asked %d times, want hourly", n)
		}
		time.Sleep(9 * time.Hour)
		_, err := r.get(verify)
		mustReason(t, err, credential.NoTicket)
		r.mustState(verify, credential.Waiting)
		if !strings.Contains(r.log(), "not pushed a ticket for too long") {
			t.Error("the log does not have it")
		}
		r.mustPush("next", time.Now())
		r.mustState(verify, credential.Fresh)
	})
}

// TestPushAlarmDecidedAgain holds that a push at the moment of the alarm prevents it, and that one
// before WeChat has been asked to push makes that unnecessary.
func TestPushAlarmDecidedAgain(t *testing.T) {
	t.Run("before the alarm", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			en := r.index.get(verify)
			time.Sleep(30*time.Minute - time.Second)
			r.mustPush("next", time.Now()) // renew has found en due, and has given up its lock
			r.noteMissingTicket(en)
			r.mustState(verify, credential.Fresh)
			s, _ := r.Status(verify)
			if n := p.nudges.Load(); n != 0 || s.LastError != "" || strings.Contains(r.log(), "too long") {
				t.Errorf("asked %d times, last error %q, want no alarm", n, s.LastError)
			}
			if in := time.Until(s.NextRefresh); in != 30*time.Minute {
				t.Errorf("the next look is in %v", in)
			}
		})
	})
	t.Run("before the call", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			free := make(chan struct{})
			busy := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				<-free
				return token("tok", 2*time.Hour), nil
			}}
			c := p.catalog()
			c[app] = Spec{Name: app, Account: app, Owner: app, Policy: policy.StableToken, Fetcher: busy}
			r := start(t, Config{Catalog: c, Calls: 1, Timeout: time.Hour})
			r.mustPush("ticket", time.Now())
			go func() { _, _ = r.get(app) }()
			time.Sleep(31 * time.Minute)
			synctest.Wait()
			r.mustState(verify, credential.Stale)
			r.mustPush("next", time.Now())
			close(free)
			synctest.Wait()
			if n := p.nudges.Load(); n != 0 || strings.Contains(r.log(), "was asked to push") {
				t.Errorf("WeChat was asked to push %d times after a push", n)
			}
		})
	})
}

func TestRefusedTicketNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		p.component.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Parent == "good" {
				return token("component", 2*time.Hour), nil
			}
			return fetchers.Token{}, refusal(61006, fetchers.NewTicket)
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("bad", time.Now())
		for range 5 {
			for range 10 {
				_, err := r.get(component)
				mustReason(t, err, credential.NoTicket)
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
		}
		time.Sleep(5 * time.Minute)
		if n := p.component.count(); n != 1 {
			t.Errorf("calls with a refused ticket: got %d, want 1", n)
		}
		r.mustPush("good", time.Now())
		time.Sleep(time.Second)
		if got := r.mustGet(component); got != "component" {
			t.Errorf("got %s", got)
		}
	})
}
