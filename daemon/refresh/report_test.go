package refresh

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/daemon/store/memstore"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// overview returns the details of all configured credentials.
func overview(r *rig) []credential.Status {
	return r.Details(slices.Sorted((*r.catalog.Load()).Names()))
}

// TestDetails holds that the details have every configured name and no customer's, say what STATUS
// says, and make no entry.
func TestDetails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		c := p.catalog()
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}}
		c[app] = Spec{Name: app, Policy: policy.StableToken, Account: app, Fetcher: fresh(2 * time.Hour)}
		c[app2] = Spec{Name: app2, Policy: policy.StableToken, Account: app2, Fetcher: wrong}
		r := start(t, Config{Catalog: c})
		r.mustGet(app)
		_, err := r.get(app2)
		mustReason(t, err, credential.Refused)
		entries := r.index.len()

		var names []string
		for _, s := range overview(r) {
			names = append(names, s.Name)
			want, err := r.Status(s.Name)
			if err != nil {
				t.Fatal(err)
			}
			s.Readers, want.Readers = nil, nil
			if s != want {
				t.Errorf("%s:\ngot  %+v\nwant %+v", s.Name, s, want)
			}
		}
		want := []string{app, app2, component, verify, preAuth}
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("names:\ngot  %q\nwant %q", names, want)
		}
		if all := r.Details([]string{"open_platform/nobody/component_access_token", "open_platform/wxcomponent/wxa/access_token", "", app}); len(all) != 1 || all[0].Name != app {
			t.Errorf("of names that are not configured: got %v", all)
		}
		if n := r.index.len(); n != entries {
			t.Errorf("entries after a look: got %d, want %d", n, entries)
		}
	})
}

// TestCensusCountsCustomers holds that any number of customers is a line for each platform and
// kind.
func TestCensusCountsCustomers(t *testing.T) {
	const n = 100_000
	now := time.Now()
	moment := func(after time.Duration) record.Moment { return record.Moment{Wall: now.Add(after), Since: after} }
	var d memstore.Store
	children := make([]string, n)
	for i := range children {
		children[i] = fmt.Sprintf("wx%05d", i)
		g := record.Grant{Name: customer(children[i], "refresh_token")}
		g.Value, g.At, g.Source = "refresh", now, fromPut
		c := record.Credential{Name: customer(children[i], "access_token"), Value: "token",
			Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}
		if err := d.Put(t.Context(), g.Encode(), c.Encode()); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Config{Hosts: bothHosts, Store: &d, Catalog: newPlatform(children...).catalog()})
	if err != nil {
		t.Fatal(err)
	}
	got := e.Census()
	if len(got.Customers) != 1 || len(got.Holds) != 0 {
		t.Fatalf("got %+v, want a single line", got)
	}
	want := credential.CustomerStates{Platform: platform, Kind: policy.AuthorizerToken.Word}
	want.States[credential.Fresh] = n
	if got.Customers[0] != want {
		t.Errorf("got  %+v\nwant %+v", got.Customers[0], want)
	}
}

// TestCensusCountsHolds holds that a hold is counted by why it is, as long as it holds.
func TestCensusCountsHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61004, fetchers.AddressRefused)
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Time{})
		for _, child := range p.children {
			r.mustPut(customer(child, "refresh_token"), "refresh")
			_, err := r.get(customer(child, "access_token"))
			mustReason(t, err, credential.Refused)
		}
		want := []credential.Holds{{Kind: "authorizer_token", Reason: credential.Refused, ErrCode: 61004, Reaction: fetchers.AddressRefused, N: 2}}
		if got := r.Census().Holds; !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("ok", time.Hour), nil })
		for _, child := range p.children {
			if _, err := r.Refresh(t.Context(), customer(child, "access_token")); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Census().Holds; len(got) != 0 {
			t.Errorf("after the fix: got %+v, want none", got)
		}
	})
}

// TestQuotasTellWhatIsSpent holds that a budget shows the calls of its window, and none when that
// is over.
func TestQuotasTellWhatIsSpent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up}, Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: fresh(2 * time.Hour)})})
		r.mustGet(tick)
		for range 2 {
			if _, err := r.Refresh(t.Context(), app); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		want := []credential.Quota{
			{Account: app, Word: "force", Spent: 2, Limit: 20, Window: 24 * time.Hour},
			{Account: tick, Word: "ticket", Spent: 1, Limit: 80, Window: time.Hour},
		}
		if got := r.Quotas(); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		time.Sleep(25 * time.Hour)
		if got := r.Quotas()[0]; got.Spent != 0 {
			t.Errorf("a day later: got %+v, want nothing spent", got)
		}
	})
}

// BenchmarkCensus is what a look at all there is costs, for each credential.
func BenchmarkCensus(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs()})
			if err != nil {
				b.Fatal(err)
			}
			spec := Spec{Policy: policy.AuthorizerToken}
			for i := range n {
				spec.Name = customer(fmt.Sprintf("wx%016x", i), "access_token")
				en := e.newEntry(&spec)
				en.current.Store(&cached{text: secret.Text("t"), end: never})
				e.index.add(en)
			}
			for b.Loop() {
				if c := e.Census(); c.Customers[0].States[credential.Fresh] != n {
					b.Fatal(c)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/credential")
		})
	}
}

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
			statuses := overview(r)
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
		if all := r.Details([]string{"open_platform/nobody/component_access_token", "open_platform/wxcomponent/wxa/access_token", "", app}); len(all) != 1 || all[0].Name != app {
			t.Errorf("of names that are not configured: got %v", all)
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
