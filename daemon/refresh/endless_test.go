package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// eventful are the refusals that call for an event: a customer's authorization, or the push of a
// ticket.
var eventful = map[string]error{
	"reauthorize":   refusal(42007, fetchers.Reauthorize),
	"grant refused": refusal(61003, fetchers.GrantRefused),
	"code refused":  refusal(61009, fetchers.CodeRefused),
	"new ticket":    refusal(61006, fetchers.NewTicket),
}

// TestNoEndlessHold: where no such event can come, the refusal is retried seldom, and a reload or a
// refresh ends the hold.
func TestNoEndlessHold(t *testing.T) {
	for _, kind := range []*policy.Policy{policy.StableToken, policy.Ticket, policy.CorpToken, policy.CorpTicket, policy.ProviderToken, policy.PreAuthCode} {
		for name, refused := range eventful {
			t.Run(kind.String()+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
						return fetchers.Token{}, refused
					}}
					parent := Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}
					held := Spec{Name: tick, Policy: kind, Parent: app, Fetcher: up}
					r := start(t, Config{Catalog: specs(parent, held)})
					_, err := r.get(tick)
					if e := mustReason(t, err, credential.Refused); e.RetryAfter != 5*time.Minute {
						t.Errorf("retry after: got %v, want 5m", e.RetryAfter)
					}
					for range 24 * 60 {
						time.Sleep(time.Minute)
						_, _ = r.get(tick)
					}
					if n := up.count(); n < 24 || n > 30 {
						t.Errorf("calls in a day: got %d, want about one an hour", n)
					}
					up.answers(fresh(time.Hour).answer)
					_, err = r.get(tick)
					mustReason(t, err, credential.Refused)
					r.SetCatalog(specs(parent, held))
					r.mustGet(tick)
				})
			})
		}
	}
}

// TestEndlessHoldOnDisk: an earlier version has kept such holds without an end.
func TestEndlessHoldOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs()})
		kept := r.keepHold(app, &hold{reason: credential.Reauth, class: fetchers.Reauthorize, errcode: 42007, message: "errcode=42007 no",
			failures: 1, since: r.Now(), until: never})
		if err := d.Put(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		r.stop()
		up := fresh(time.Hour)
		r = start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		_, err := r.get(app)
		if e := mustReason(t, err, credential.Refused); e.RetryAfter != 5*time.Minute {
			t.Errorf("retry after: got %v, want 5m", e.RetryAfter)
		}
		time.Sleep(5*time.Minute + time.Second)
		if _, ok := r.Cached([]byte(app)); !ok || up.count() != 1 {
			t.Errorf("not fetched when the hold had ended: %d calls", up.count())
		}
	})
}

// TestHoldUntilEvent: where the event can come it alone ends the hold, over a reload and a restart
// too.
func TestHoldUntilEvent(t *testing.T) {
	for _, tc := range []struct {
		name    string
		refuse  func(p *platformOf) *upstream
		refusal error
		asked   string
		want    credential.Reason
		event   func(r *rig)
	}{
		{"grant", func(p *platformOf) *upstream { return p.token }, eventful["reauthorize"], customer("wxa", "access_token"), credential.Reauth,
			func(r *rig) { r.mustPut(customer("wxa", "refresh_token"), "another") }},
		{"ticket of a grant", func(p *platformOf) *upstream { return p.ticket }, eventful["reauthorize"], customer("wxa", "jsapi_ticket"), credential.Reauth,
			func(r *rig) { r.mustPut(customer("wxa", "refresh_token"), "another") }},
		{"pushed ticket", func(p *platformOf) *upstream { return p.component }, eventful["new ticket"], component, credential.NoTicket,
			func(r *rig) { r.mustPush("another", time.Now()) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, d := newPlatform("wxa"), newDisk()
				up := tc.refuse(p)
				answer := up.answer
				up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, tc.refusal })
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "grant")
				for round := range 3 {
					_, err := r.get(tc.asked)
					mustReason(t, err, tc.want)
					time.Sleep(3 * time.Hour)
					switch round {
					case 0:
						r.SetCatalog(p.catalog())
					case 1:
						r.stop()
						r = start(t, Config{Store: d, Catalog: p.catalog()})
					}
				}
				if n := up.count(); n != 1 {
					t.Errorf("calls: got %d, want 1", n)
				}
				up.answers(answer)
				tc.event(r)
				r.mustGet(tc.asked)
			})
		})
	}
}

// TestRefusedWhileReplaced: a refusal of what has been replaced while the call was in flight holds
// nothing up.
func TestRefusedWhileReplaced(t *testing.T) {
	for name, tc := range map[string]struct {
		asked   string
		up      func(p *platformOf) *upstream
		refused error
		replace func(r *rig)
	}{
		"grant": {customer("wxa", "access_token"), func(p *platformOf) *upstream { return p.token }, refusal(61023, fetchers.Reauthorize),
			func(r *rig) { r.mustPut(customer("wxa", "refresh_token"), "second") }},
		"ticket": {component, func(p *platformOf) *upstream { return p.component }, refusal(61006, fetchers.NewTicket),
			func(r *rig) { r.mustPush("second", time.Now().Add(time.Second)) }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				gate := make(chan struct{})
				tc.up(p).answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					if ask.Grant == "first" || ask.Parent == "first" {
						<-gate
						return fetchers.Token{}, tc.refused
					}
					return token("tok", 2*time.Hour), nil
				})
				r := start(t, Config{Catalog: p.catalog()})
				r.mustPush("first", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "first")
				go func() { _, _ = r.get(tc.asked) }()
				synctest.Wait()
				tc.replace(r)
				close(gate)
				time.Sleep(time.Minute)
				r.mustGet(tc.asked)
			})
		})
	}
}
