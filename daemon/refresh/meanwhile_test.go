package refresh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// gated answers tokens by the grants that they are called with, each with another grant, once gate
// is closed.
func gated(gate chan struct{}) func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
	return func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
		<-gate
		return rotating(ctx, ask, n)
	}
}

func (r *rig) mustGrant(name string, want secret.Text, live bool) {
	r.t.Helper()
	kept, err := r.cfg.Store.Get(record.Grants, name)
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := record.DecodeGrant(kept)
	if err != nil || g.Value != want || g.Live() != live {
		r.t.Errorf("in force: %q, live %v, %v; want %q, %v", string(g.Value), g.Live(), err, string(want), live)
	}
}

// TestGivenGrantOutlivesRotation: what is given, or taken back, while a fetch rotates the grant
// before it stands.
func TestGivenGrantOutlivesRotation(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	for _, revoked := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			gate := make(chan struct{})
			p.token.answers(gated(gate))
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			r.mustPut(grant, "first")
			go func() { _, _ = r.get(customer("wxa", "access_token")) }()
			synctest.Wait()
			r.mustPut(grant, "given")
			if revoked {
				time.Sleep(2 * time.Second)
				if err := r.Revoke(t.Context(), grant, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			close(gate)
			synctest.Wait()
			r.mustGrant(grant, "given", !revoked)
			g, err := r.grants.get(grant)
			if err != nil || g.Earlier[0].Value != "first+" {
				t.Errorf("the rotated grant is not kept: %v", err)
			}
		})
	}
}

// TestFirstTokenOutlivesFetch: a fetch with the grant before does not land on the token that a code
// has brought.
func TestFirstTokenOutlivesFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		gate := make(chan struct{})
		p.token.answers(gated(gate))
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "first")
		got := make(chan string)
		go func() { v, _ := r.get(customer("wxa", "access_token")); got <- v }()
		synctest.Wait()
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
			t.Fatal(err)
		}
		close(gate)
		if v := <-got; v != "first-wxa" {
			t.Errorf("who waited for the fetch got %s", v)
		}
		synctest.Wait()
		if v := r.mustGet(customer("wxa", "access_token")); v != "first-wxa" || p.token.count() != 1 {
			t.Errorf("served: %s after %d fetches", v, p.token.count())
		}
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		if v := r2.mustGet(customer("wxa", "access_token")); v != "first-wxa" {
			t.Errorf("after a kill: %s", v)
		}
	})
}

// TestRotationWritesWhatIsOwed: what the disk has refused of an exchange is written with the next
// grant, not behind it.
func TestRotationWritesWhatIsOwed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(rotating)
		d := newDisk()
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			d.fail(errPath)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		synctest.Wait()
		if d.count(t, record.Codes) != 1 {
			t.Fatal("the disk refuses, and the code is gone")
		}
		d.fail(nil)
		if _, err := r.Refresh(t.Context(), customer("wxa", "access_token")); err != nil {
			t.Fatal(err)
		}
		r.mustGrant(customer("wxa", "refresh_token"), "refresh-of-wxa+", true)
		if codes, spent := d.count(t, record.Codes), d.count(t, record.Exchanged); codes != 0 || spent != 1 {
			t.Errorf("on disk: %d codes, %d exchanged ones", codes, spent)
		}
	})
}

// TestParentBackBeforeCodeWaits: a ticket that comes while it is written down that a code waits for
// one is not missed.
func TestParentBackBeforeCodeWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := &slowCodes{disk: newDisk()}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		d.delay.Store(int64(5 * time.Second))
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		time.Sleep(2 * time.Second) // the try has failed, and is being written down
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		time.Sleep(3*time.Second + soonest + 6*time.Second)
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
	})
}

// TestFreeEndpointBeforeCodeWaits: the same for the end of an endpoint's hold.
func TestFreeEndpointBeforeCodeWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		var listed atomic.Bool
		p.counted(func() error {
			if !listed.Load() {
				return &fetchers.APIError{Code: 61004, Reaction: fetchers.AddressRefused}
			}
			return nil
		})
		d := &slowCodes{disk: newDisk()}
		c := p.catalog()
		r := start(t, Config{Store: d, Catalog: c})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		d.delay.Store(int64(5 * time.Second))
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		time.Sleep(2 * time.Second)
		listed.Store(true)
		r.SetCatalog(c) // the address is listed, and the operator reloads
		time.Sleep(3*time.Second + soonest + 6*time.Second)
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
	})
}

// TestCodeWaitsForGuard: WeCom's guard before faulty calls gives no code up.
func TestCodeWaitsForGuard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const suite, ticketName, suiteName = "open_work/s", "open_work/s/suite_ticket", "open_work/s/suite_access_token"
		name := func(child, word string) string { return suite + "/" + child + "/" + word }
		var calls atomic.Int32
		r := start(t, Config{Catalog: specs(
			Spec{Name: ticketName, Policy: policy.SuiteTicket},
			Spec{Name: suiteName, Policy: policy.SuiteToken, Parent: ticketName, Fetcher: fresh(2 * time.Hour)},
			Spec{Name: name("c", "permanent_code"), Policy: policy.PermanentCode},
			Spec{Name: suite + "/*", Fetcher: way{
				Parent: suiteName,
				Grant:  func(c string) string { return name(c, "permanent_code") },
				Token:  func(c string) string { return name(c, "access_token") },
				Exchanger: exchangeFunc(func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
					calls.Add(1)
					return fetchers.Authorization{Child: "c", Grant: "permanent"}, nil
				})}})})
		if err := r.Put(t.Context(), ticketName, "ticket"); err != nil {
			t.Fatal(err)
		}
		r.mustGet(suiteName)
		for range policy.WeCom.Faults.Limit {
			r.ledger.Spend(*policy.WeCom.Faults, policy.WeCom.Faults.Key(""), r.Now())
		}
		time.Sleep(50 * time.Minute)
		if err := r.Accept(t.Context(), suite, "code", time.Now(), time.Now().Add(20*time.Minute)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := r.Exchange(t.Context(), suite, "code")
		if of := mustReason(t, err, credential.Limited); of.RetryAfter <= 9*time.Minute || of.RetryAfter > 10*time.Minute || calls.Load() != 0 {
			t.Errorf("told %v after %d calls", of.RetryAfter, calls.Load())
		}
		time.Sleep(11 * time.Minute)
		if _, err := r.grants.live(name("c", "permanent_code")); err != nil || calls.Load() != 1 {
			t.Errorf("%v after %d calls", err, calls.Load())
		}
	})
}

// TestEventBehindExchange: what the event of a code tells counts for an EXCHANGE of it that is in
// flight.
func TestEventBehindExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.counted(func() error { time.Sleep(5 * time.Second); return nil })
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		began := time.Now()
		done := make(chan error)
		go func() { _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); done <- err }()
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), began.Add(3*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := r.AcceptFrom(t.Context(), platform, "wxa", "code-of-wxa", began.Add(4*time.Second), began.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Unreachable)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.mustGet(customer("wxa", "access_token"))
	})
}

// TestLostExchangeOutdates: an exchange without an answer may have replaced the customer's token
// and refresh token. The token is fetched while WeChat still accepts the previous refresh token.
func TestLostExchangeOutdates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		fails := false
		p.counted(func() error {
			if fails {
				return &fetchers.TransportError{Err: errors.New("connection reset"), Sent: true}
			}
			return nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
			t.Fatal(err)
		}
		r.mustGet(customer("wxa", "access_token"))
		time.Sleep(time.Minute)
		r.mustGet(customer("wxa", "access_token"))
		before := p.token.count()
		fails = true
		r.mustAccept("wxa", "code-of-wxa-again", time.Minute)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := p.token.count(); got == before {
			t.Errorf("calls for the token after a lost exchange: %d, as before", got)
		}
	})
}

// TestAcceptBehindFailedExchange: the code is tried again, by one exchange.
func TestAcceptBehindFailedExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := p.counted(func() error { time.Sleep(time.Second); return away() })
		d := &slowCodes{disk: newDisk()}
		d.delay.Store(int64(10 * time.Second))
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		accepted := make(chan struct{})
		go func() { r.mustAccept("wxa", "code-of-wxa", time.Hour); close(accepted) }()
		time.Sleep(time.Second)
		_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
		mustReason(t, err, credential.Unreachable)
		<-accepted
		d.delay.Store(0)
		time.Sleep(1500 * time.Millisecond)
		n := calls()
		for range 3 {
			_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
			mustReason(t, err, credential.Unreachable)
		}
		if n != 2 || calls() != n {
			t.Errorf("calls: got %d, then %d; want 2", n, calls())
		}
	})
}

// TestPromiseWhileGrantIsWritten: the record of a code that is promised then goes, too.
func TestPromiseWhileGrantIsWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := &lateDisk{disk: newDisk(), gate: make(chan struct{}), table: record.Exchanged}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		done := make(chan error)
		go func() { _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); done <- err }()
		synctest.Wait()
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		close(d.gate)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := d.count(t, record.Codes); n != 0 {
			t.Errorf("codes on disk: %d", n)
		}
	})
}

// TestRefusedPromiseForgotten: a code that was not taken on is expected by nobody.
func TestRefusedPromiseForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		d.fail(errPath)
		if err := r.AcceptFrom(t.Context(), platform, "wxa", "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err == nil {
			t.Error("taken on")
		}
		d.fail(nil)
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		synctest.Wait()
		r.mustGet(customer("wxa", "access_token"))
	})
}

// TestLongerPromiseCounts: of two events of one code, however their writes end.
func TestLongerPromiseCounts(t *testing.T) {
	for _, lives := range [][2]time.Duration{{time.Hour, 10 * time.Minute}, {10 * time.Minute, time.Hour}} {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			began := time.Now()
			p.counted(func() error {
				if time.Since(began) < 30*time.Minute {
					return away()
				}
				return nil
			})
			d := &slowCodes{disk: newDisk()}
			d.delay.Store(int64(2 * time.Second))
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			var events sync.WaitGroup
			for i, life := range lives {
				events.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					r.mustAccept("wxa", "code-of-wxa", life)
				})
			}
			events.Wait()
			time.Sleep(time.Hour)
			r.mustGet(customer("wxa", "access_token"))
		})
	}
}

// TestOwnerBackBeforeCodeEnds: a reload that brings the owner back just when its absence was
// noticed resumes the code.
func TestOwnerBackBeforeCodeEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		synctest.Wait()
		without := &returning{catalog: specs(), back: sync.OnceFunc(func() { r.SetCatalog(p.catalog()) })}
		r.SetCatalog(without)
		without.armed.Store(true)
		time.Sleep(2 * time.Minute)
		r.mustPush("ticket", time.Now())
		time.Sleep(2 * time.Minute)
		r.mustGet(customer("wxa", "access_token"))
	})
}

// returning is a catalog that is replaced as soon as a code has missed its owner.
type returning struct {
	catalog
	armed atomic.Bool
	back  func()
}

func (c *returning) Onboarding(owner string) (Onboarding, error) {
	if c.armed.Load() {
		c.back()
	}
	return c.catalog.Onboarding(owner)
}
