package refresh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

const (
	verify    = "open_platform/wxc/component_verify_ticket"
	component = "open_platform/wxc/component_access_token"
	preAuth   = "open_platform/wxc/pre_auth_code"
	platform  = "open_platform/wxc"
)

func customer(child, word string) string { return platform + "/" + child + "/" + word }

// platformOf is a platform with some customers, over a fake WeChat of which each part is
// a function that a test may replace.
type platformOf struct {
	component, token, ticket, code *upstream
	exchange                       exchangeFunc
	list                           pageFunc
	recover                        func(ctx context.Context, parent secret.Text) (secret.Text, error)
	nudges                         atomic.Int32
	children                       []string
}

type exchangeFunc func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error)

func (f exchangeFunc) Exchange(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
	return f(ctx, parent, code)
}

type pageFunc func(offset, count int) (fetchers.AuthorizerPage, error)

func (f pageFunc) Page(_ context.Context, _ secret.Text, offset, count int) (fetchers.AuthorizerPage, error) {
	return f(offset, count)
}

func newPlatform(children ...string) *platformOf {
	p := &platformOf{component: fresh(2 * time.Hour), token: fresh(2 * time.Hour), ticket: fresh(2 * time.Hour), code: fresh(30 * time.Minute), children: children}
	p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
		child, ok := strings.CutPrefix(string(code), "code-of-")
		if !ok {
			return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
		}
		t := token("first-"+child, 2*time.Hour)
		return fetchers.Authorization{Child: child, Grant: secret.Text("refresh-of-" + child), Token: &t}, nil
	}
	return p
}

func (p *platformOf) catalog() catalog {
	all := []Spec{
		{Name: verify, Kind: VerifyTicket, Nudge: func(context.Context) error { p.nudges.Add(1); return nil }},
		{Name: component, Kind: ComponentToken, Parent: verify, Fetcher: p.component},
		{Name: preAuth, Kind: PreAuthCode, Parent: component, Fetcher: p.code},
		{Name: platform + "/*", Fetcher: way{
			Parent:    component,
			Grant:     func(c string) string { return customer(c, "refresh_token") },
			Token:     func(c string) string { return customer(c, "access_token") },
			Exchanger: p.exchange, Lister: p.list}},
	}
	for _, c := range p.children {
		grant := customer(c, "refresh_token")
		all = append(all,
			Spec{Name: grant, Kind: RefreshToken},
			Spec{Name: customer(c, "access_token"), Kind: AuthorizerToken, Parent: component, Grant: grant, Fetcher: p.token, Recover: p.recover},
			Spec{Name: customer(c, "jsapi_ticket"), Kind: AuthorizerTicket, Parent: customer(c, "access_token"), Grant: grant, Fetcher: p.ticket})
	}
	return specs(all...)
}

func (r *rig) mustPush(value string, at time.Time) {
	r.t.Helper()
	if err := r.Push(r.t.Context(), verify, secret.Text(value), at); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mustPut(name, value string) {
	r.t.Helper()
	if err := r.Put(r.t.Context(), name, secret.Text(value)); err != nil {
		r.t.Fatal(err)
	}
}

func TestTheNewestPushedTicketIsKept(t *testing.T) {
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

func TestAnAskThatWaitedForATicketGoesOnWhenItComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustState(verify, Waiting)
		for range 20 {
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, NoTicket)
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

func TestATicketExpiresAndItsAbsenceIsSaidAndMended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		r.mustState(verify, Stale)
		if n := p.nudges.Load(); n != 1 {
			t.Errorf("after half an hour without a push: WeChat was asked %d times, want once", n)
		}
		time.Sleep(3 * time.Hour)
		if n := p.nudges.Load(); n != 4 {
			t.Errorf("after three more hours: asked %d times, want hourly", n)
		}
		time.Sleep(9 * time.Hour)
		_, err := r.get(verify)
		mustReason(t, err, NoTicket)
		r.mustState(verify, Waiting)
		if !strings.Contains(r.log(), "not pushed a ticket for too long") {
			t.Error("the log does not say so")
		}
		r.mustPush("next", time.Now())
		r.mustState(verify, Fresh)
	})
}

func TestARefusedTicketIsNotSentTwice(t *testing.T) {
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
				mustReason(t, err, NoTicket)
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

func TestACustomersGrantIsUsedKeptAndNeverShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		n := 0
		var used []string
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			n++
			used = append(used, string(ask.Grant))
			tok := token(fmt.Sprintf("tok-%d", n), 2*time.Hour)
			switch n {
			case 2:
				tok.Grant = "" // an empty replacement
			default:
				tok.Grant = secret.Text(fmt.Sprintf("refresh-%d", n))
			}
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
		r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
		for range 4 {
			r.mustGet(customer("wxa", "access_token"))
			if _, err := r.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
				t.Fatal(err)
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
		}
		if got, want := fmt.Sprint(used), "[refresh-0 refresh-1 refresh-1 refresh-3 refresh-4]"; got != want {
			t.Errorf("grants used: got %s, want %s", got, want)
		}
		_, err = r.get(customer("wxa", "refresh_token"))
		mustReason(t, err, Denied)
		_, err = r.Reject(t.Context(), customer("wxa", "refresh_token"), "refresh-5")
		mustReason(t, err, Denied)
		_, err = r.get(customer("wxb", "access_token"))
		mustReason(t, err, Reauth)
		if s, err := r.Status(customer("wxa", "refresh_token")); err != nil || s.State != Fresh || s.Generations < 3 || s.Source != fromRotation {
			t.Errorf("status: got %+v, %v", s, err)
		}
	})
}

func TestTheChildOfAHeldCustomerWaitsInPeace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustGet(customer("wxa", "jsapi_ticket"))
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61023, fetchers.Reauthorize)
		})
		for range 6 * 60 {
			time.Sleep(time.Minute)
			_, _ = r.get(customer("wxa", "jsapi_ticket"))
		}
		if n := r.counts.failed.Load(); n > 6*60+100 {
			t.Errorf("failed refreshes in six hours of asking once a minute: got %d", n)
		}
	})
}

func TestMadeUpCustomersCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 1000 {
			children = append(children, fmt.Sprintf("wx%d", i))
		}
		p := newPlatform(children...)
		r := start(t, Config{Catalog: p.catalog()})
		before := len(r.index.all())
		for _, c := range children {
			_, err := r.get(customer(c, "access_token"))
			mustReason(t, err, Reauth)
		}
		if n := len(r.index.all()) - before; n != 0 {
			t.Errorf("entries made: %d", n)
		}
	})
}

func TestARevokedCustomerIsGoneAtOnceAndComesBackClean(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range p.children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
			r.mustGet(customer(c, "jsapi_ticket"))
		}
		old := r.mustGet(customer("wxa", "access_token"))
		calls := p.token.count() + p.ticket.count()
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		check := func(r *rig) {
			t.Helper()
			for _, word := range []string{"access_token", "jsapi_ticket"} {
				if _, ok := r.Cached([]byte(customer("wxa", word))); ok {
					t.Errorf("%s of a revoked customer is served", word)
				}
				_, err := r.get(customer("wxa", word))
				mustReason(t, err, Reauth)
			}
			r.mustGet(customer("wxb", "jsapi_ticket"))
		}
		check(r)
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		check(r2)
		if n := p.token.count() + p.ticket.count() - calls; n != 0 {
			t.Errorf("calls after the revocation: %d", n)
		}
		// An authorization that is older than the revocation comes late.
		if err := r2.Accept(t.Context(), platform, "code-of-wxa", time.Now().Add(-time.Minute), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		check(r2)
		// And then the customer comes back.
		time.Sleep(time.Second)
		p.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
			tok := token("back", 2*time.Hour)
			return fetchers.Authorization{Child: "wxa", Grant: "refresh-again", Token: &tok}, nil
		}
		r2.SetCatalog(p.catalog())
		name, err := r2.Exchange(t.Context(), platform, "code-2")
		if err != nil || name != platform+"/wxa" {
			t.Fatalf("got %q, %v", name, err)
		}
		if got := r2.mustGet(customer("wxa", "access_token")); got != "back" || got == old {
			t.Errorf("after the return: got %s", got)
		}
		r2.mustGet(customer("wxa", "jsapi_ticket"))
	})
}

func TestARevocationOutrunsTheExchangeOfWhatItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			time.Sleep(3 * time.Second)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
	})
}

func TestARefusedCodeIsNotSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := 0
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			calls++
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for range 5 {
			if err := r.Accept(t.Context(), platform, "nonsense", time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			_, err := r.Exchange(t.Context(), platform, "nonsense")
			mustReason(t, err, Refused)
		}
		if calls != 1 {
			t.Errorf("calls: got %d, want 1", calls)
		}
	})
}

func TestARevocationOutrunsAFetchThatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(2 * time.Second)
			tok := token("late", 2*time.Hour)
			tok.Grant = "rotated"
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		errs := make(chan error, 1)
		go func() { _, err := r.get(customer("wxa", "access_token")); errs <- err }()
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		mustReason(t, <-errs, Reauth)
		if d.has(record.Credentials, customer("wxa", "access_token")) {
			t.Error("the token of a revoked customer is on disk")
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
	})
}

func TestARefusedGrantIsReadAgainOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		listed secret.Text
		err    error
		want   Reason // 0: recovered
		lists  int
	}{
		{"the list has another", "good", nil, 0, 1},
		{"the list has the same", "bad", nil, Reauth, 1},
		{"the list does not have the customer", "", nil, Reauth, 1},
		{"the list cannot be had", "", away(), Unreachable, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				lists := 0
				p.recover = func(context.Context, secret.Text) (secret.Text, error) { lists++; return tc.listed, tc.err }
				p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					if ask.Grant == "good" {
						return token("tok", time.Hour), nil
					}
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				})
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "bad")
				for range 10 {
					_, err := r.get(customer("wxa", "access_token"))
					if reason(err) != tc.want {
						t.Fatalf("got %v, want reason %s", err, tc.want)
					}
				}
				if lists != tc.lists {
					t.Errorf("list calls: got %d, want %d", lists, tc.lists)
				}
				if tc.want != Reauth {
					return
				}
				// Remembered over a restart, and ended by another grant.
				r.stop()
				r = start(t, Config{Store: d, Catalog: p.catalog()})
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, Reauth)
				if lists != 1 || p.token.count() != 1 {
					t.Errorf("after a restart: %d lists, %d calls", lists, p.token.count())
				}
				r.mustPut(customer("wxa", "refresh_token"), "good")
				if got := r.mustGet(customer("wxa", "access_token")); got != "tok" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

func TestOneCodeIsExchangedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := 0
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			calls++
			time.Sleep(time.Second)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if i%2 == 0 {
					if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
						t.Error(err)
					}
					return
				}
				if name, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil || name != platform+"/wxa" {
					t.Errorf("got %q, %v", name, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Second)
		if calls != 1 {
			t.Errorf("calls: got %d, want 1", calls)
		}
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" || p.token.count() != 0 {
			t.Errorf("first token: got %s after %d calls", got, p.token.count())
		}
		_, err := r.Exchange(t.Context(), platform, "nonsense")
		mustReason(t, err, Refused)
	})
}

func TestAPromisedCodeIsExchangedWhateverHappens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		inner, down := p.exchange, true
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			if down {
				return fetchers.Authorization{}, away()
			}
			return inner(ctx, parent, code)
		}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(10*time.Minute)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		r.stop()
		down = false
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		time.Sleep(time.Minute) // the pause between two tries goes on over the restart
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
		for range d.All(record.Codes) {
			t.Error("the code is still on disk")
		}
		// A code that is refused for good, and one that runs out of time, are let go.
		down = true
		for _, code := range []secret.Text{"bad", "code-of-wxa-2"} {
			if err := r.Accept(t.Context(), platform, code, time.Now(), time.Now().Add(10*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		for range d.All(record.Codes) {
			t.Error("a useless code is still on disk")
		}
	})
}

func TestAcceptIsDurableOrAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		d.fail(errors.New("no space left"))
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err == nil {
			t.Error("Accept: got nil")
		}
		if err := r.Put(t.Context(), customer("wxa", "refresh_token"), "other"); err == nil {
			t.Error("Put: got nil")
		}
		if err := r.Push(t.Context(), verify, "ticket-2", time.Now()); err == nil {
			t.Error("Push: got nil")
		}
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err == nil {
			t.Error("Revoke: got nil")
		}
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err == nil {
			t.Error("Exchange: got nil")
		}
	})
}

func TestARotatedGrantSurvivesADiskThatRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		current := "refresh-0"
		p.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if string(ask.Grant) != current {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			current = fmt.Sprintf("refresh-%d", n)
			tok := token(fmt.Sprintf("tok-%d", n), time.Hour)
			tok.Grant = secret.Text(current)
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
		d.fail(errors.New("no space left"))
		r.mustGet(customer("wxa", "access_token"))
		if _, err := r.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
			t.Errorf("with the grant that the disk refused: %v", err)
		}
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		synctest.Wait()
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		if _, err := r2.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
			t.Errorf("after the disk came back and a kill: %v", err)
		}
	})
}

func TestUseDecidesWhichCustomersAreRefreshed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 2000 {
			children = append(children, fmt.Sprintf("wx%d", i))
		}
		p := newPlatform(children...)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		tickets := func(ctx context.Context) {
			for i := 0; ctx.Err() == nil; i++ {
				_ = r.Push(ctx, verify, secret.Text(fmt.Sprint("ticket-", i)), time.Now())
				select {
				case <-time.After(10 * time.Minute):
				case <-ctx.Done():
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go tickets(ctx)
		time.Sleep(time.Second)
		for _, c := range children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
			r.mustGet(customer(c, "access_token"))
		}
		inUse := children[:20]
		for range 24 * 2 {
			time.Sleep(30 * time.Minute)
			for _, c := range inUse {
				if _, ok := r.Cached([]byte(customer(c, "access_token"))); !ok {
					t.Fatalf("a customer in use had to wait")
				}
			}
		}
		// Everybody once, those in use about 13 times a day.
		if n := p.token.count(); n < 2000+20*11 || n > 2000+20*14 {
			t.Errorf("calls: got %d, want about %d", n, 2000+20*13)
		}
		if n := len(r.index.all()); n > 30 {
			t.Errorf("entries in memory: got %d, want those in use", n)
		}
		kept := 0
		for range d.All(record.Credentials) {
			kept++
		}
		if kept > 30 {
			t.Errorf("values on disk: got %d, want those in use", kept)
		}
		r.mustGet(customer("wx1999", "access_token"))
	})
}

func TestAChangedGrantReplacesItsTokenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
			return fetchers.Authorization{Child: "wxa", Grant: "grant-of-" + code}, nil
		}
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			return token("by-"+string(ask.Grant), 2*time.Hour), nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, code := range []secret.Text{"one", "two"} {
			if err := r.Accept(t.Context(), platform, code, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if got, want := r.mustGet(customer("wxa", "access_token")), "by-grant-of-"+string(code); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestAPreAuthCodeIsForOneAsk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		seen := map[string]bool{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				v, err := r.get(preAuth)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[v] {
					t.Errorf("got %q, %v; want a code of its own", v, err)
				}
				seen[v] = true
			})
		}
		wg.Wait()
		if p.code.most != 1 {
			t.Errorf("calls at once: got %d, want 1", p.code.most)
		}
		if d.has(record.Credentials, preAuth) {
			t.Error("a code is on disk")
		}
		if _, ok := r.Cached([]byte(preAuth)); ok {
			t.Error("a code is kept")
		}
		p.code.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61004, fetchers.AddressRefused)
		})
		calls := p.code.count()
		for range 5 {
			_, err := r.get(preAuth)
			mustReason(t, err, Refused)
		}
		if n := p.code.count() - calls; n != 1 {
			t.Errorf("calls in a hold: got %d, want 1", n)
		}
	})
}

func TestConfiguredGrantsSeedAndNeverOverwrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		grant := customer("wxa", "refresh_token")
		sow := func(value secret.Text) {
			t.Helper()
			if err := r.Sow(t.Context(), []Seed{{grant, value}}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(value secret.Text) {
			t.Helper()
			if g, err := r.grants.get(grant); err != nil || g.Value != value {
				t.Errorf("grant: got %q, %v; want %q", string(g.Value), err, string(value))
			}
		}
		sow("one")
		want("one")
		sow("two") // somebody corrected the configuration
		want("two")
		r.mustPut(grant, "learned")
		sow("two")
		want("learned")
		sow("three")
		want("learned")
	})
}

func TestAConfiguredGrantThatWasRefusedIsNotTriedAtEveryStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61023, fetchers.Reauthorize)
		})
		d := newDisk()
		for range 10 {
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			if err := r.Sow(t.Context(), []Seed{{customer("wxa", "refresh_token"), "seeded"}}); err != nil {
				t.Fatal(err)
			}
			r.mustPush("ticket", time.Now())
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, Reauth)
			r.stop()
		}
		if n := p.token.count(); n != 1 {
			t.Errorf("calls over ten starts: got %d, want 1", n)
		}
	})
}

func TestImportBringsInEveryCustomerOfTheList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		const total = 1203
		p.list = func(offset, count int) (fetchers.AuthorizerPage, error) {
			page := fetchers.AuthorizerPage{Total: total}
			for i := offset; i < min(offset+count, total); i++ {
				a := fetchers.ListedAuthorizer{AppID: fmt.Sprintf("wx%d", i)}
				if i%100 != 7 { // some codes were never exchanged
					a.RefreshToken = secret.Text(fmt.Sprintf("refresh-%d", i))
				}
				page.Authorizers = append(page.Authorizers, a)
			}
			return page, nil
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		kept, pages := 0, 0
		for offset := 0; ; pages++ {
			page, err := r.Import(t.Context(), platform, offset)
			if err != nil {
				t.Fatal(err)
			}
			kept += page.Kept
			if offset = page.Next; offset == 0 {
				break
			}
		}
		if kept != total-12 || pages != 2 {
			t.Errorf("kept %d grants on %d pages after the first, want %d on 2", kept, pages, total-12)
		}
		if n := len(r.List(platform + "/wx")); n != total-12 {
			t.Errorf("listed: got %d", n)
		}
	})
}

// TestNoKillLosesAGrant plays a WeChat that replaces the refresh token at every call and
// lets the old one live five minutes, and kills the daemon at each of the moments at which
// something is written.
func TestNoKillLosesAGrant(t *testing.T) {
	for at := range 40 {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			generation, rotated := 0, time.Time{}
			d := &mortal{buried: make(chan struct{})}
			p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
				select {
				case <-d.buried:
					return fetchers.Token{}, away() // the test is over; only the dead still call
				default:
				}
				var n int
				if _, err := fmt.Sscanf(string(ask.Grant), "refresh-%d", &n); err != nil {
					t.Errorf("WeChat was sent %q", string(ask.Grant))
				}
				if n != generation && (n != generation-1 || time.Since(rotated) > 5*time.Minute) {
					t.Errorf("WeChat regards %d as current and was sent %d: the grant is lost", generation, n)
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				}
				generation, rotated = generation+1, time.Now()
				tok := token(fmt.Sprintf("tok-%d", generation), time.Hour)
				tok.Grant = secret.Text(fmt.Sprintf("refresh-%d", generation))
				return tok, nil
			})
			d.left.Store(int32(at + 3)) // three writes make the platform and its customer
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			t.Cleanup(func() { close(d.buried) })
			r.mustPush("ticket", time.Now())
			r.mustPut(customer("wxa", "refresh_token"), "refresh-0")
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, _ = r.Get(ctx, customer("wxa", "access_token"))
				_, _ = r.Refresh(ctx, customer("wxa", "access_token"))
				cancel()
				if d.dead.Load() && r.cfg.Store != &d.disk {
					r = start(t, Config{Store: &d.disk, Catalog: p.catalog()})
				}
				time.Sleep(time.Minute)
			}
			if generation < 5 {
				t.Errorf("killed at write %d: WeChat has replaced the grant %d times only", at, generation)
			}
		})
	}
}

// mortal is a disk whose daemon is killed at a Put: nothing of it is written, and whoever
// called it goes no further until the test is over.
type mortal struct {
	disk
	left   atomic.Int32 // writes until then
	dead   atomic.Bool
	buried chan struct{}
}

func (m *mortal) Put(ctx context.Context, recs ...record.Record) error {
	if m.left.Add(-1) < 0 {
		m.dead.Store(true)
		<-m.buried
		return errors.New("killed")
	}
	return m.disk.Put(ctx, recs...)
}
