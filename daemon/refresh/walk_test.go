package refresh

import (
	"context"
	"slices"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// TestSummaries holds that a walk through the configured credentials tells what their statuses do,
// as often as it is made, and makes no entry.
func TestSummaries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		c := p.catalog()
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}}
		c[app] = Spec{Name: app, Policy: policy.StableToken, Account: app, Fetcher: fresh(2 * time.Hour)}
		c[app2] = Spec{Name: app2, Policy: policy.StableToken, Account: app2, Fetcher: wrong}
		c[tick] = Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: fresh(2 * time.Hour)}
		r := start(t, Config{Catalog: c})
		r.mustGet(app)
		_, err := r.get(app2)
		mustReason(t, err, credential.Refused)
		entries := r.index.len()

		w := r.Walk(t.Context())
		defer w.Rest()
		for range 3 {
			statuses := r.Overview()
			n := 0
			for got := range w.Summaries {
				i := slices.IndexFunc(statuses, func(s credential.Status) bool { return s.Name == got.Name })
				if i < 0 {
					t.Fatalf("%s is not configured", got.Name)
				}
				s := statuses[i]
				want := credential.Summary{
					Name: s.Name, Kind: s.Kind, State: s.State, FetchedAt: s.FetchedAt, ExpiresAt: s.ExpiresAt,
					NextRefresh: s.NextRefresh, ErrCode: s.ErrCode, Failures: s.Failures, Durable: s.Durable,
				}
				if *got != want {
					t.Errorf("\ngot  %+v\nwant %+v", *got, want)
				}
				n++
			}
			asked := map[string]credential.Summary{}
			for s := range w.Asked {
				asked[s.Name] = *s
			}
			for s := range w.Summaries {
				if got, ok := asked[s.Name]; ok && got != *s || !ok && *s != (credential.Summary{Name: s.Name, Kind: s.Kind, State: s.State, Durable: true}) {
					t.Errorf("asked for:\ngot  %+v\nwant %+v", got, *s)
				}
			}
			if n != len(statuses) || n < 5 {
				t.Errorf("got %d, want %d", n, len(statuses))
			}
		}
		if n := r.index.len(); n != entries {
			t.Errorf("entries after a look: got %d, want %d", n, entries)
		}
	})
}

// TestSharedQuotaOnce holds that a budget which several credentials share is there once, and that
// WeCom's is.
func TestSharedQuotaOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := catalog{}
		for _, corp := range []string{"work/ww1", "work/ww2"} {
			for _, agent := range []string{"/1", "/2"} {
				for _, ticket := range []string{"/agent_config_ticket", "/jsapi_ticket"} {
					name := corp + agent + ticket
					c[name] = Spec{Name: name, Policy: policy.CorpTicket, Account: name, Owner: corp, Fetcher: fresh(2 * time.Hour)}
				}
			}
		}
		r := start(t, Config{Catalog: c})
		r.mustGet("work/ww2/1/jsapi_ticket")
		spent := map[string]int{}
		for q := range r.Walk(t.Context()).Quotas(true) {
			key := q.Account + "#" + q.Word
			if _, ok := spent[key]; ok {
				t.Errorf("%s is there twice", key)
			}
			spent[key] = q.Spent
		}
		if len(spent) != 8+2+1 || spent["work/ww2#ticket"] != 1 || spent["work/ww1#ticket"] != 0 || spent["work/ww2/1/jsapi_ticket#ticket"] != 1 {
			t.Errorf("got %v", spent)
		}
		if _, ok := spent["#"+policy.WeCom.Faults.Word]; !ok {
			t.Errorf("WeCom's is not there: %v", spent)
		}
	})
}
