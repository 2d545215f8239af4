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

// TestRecent holds that the last refreshes of all configured credentials are listed, newest first,
// failures included, and those of customers left out.
func TestRecent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		c := p.catalog()
		wrong := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}}
		c[app] = Spec{Name: app, Policy: policy.StableToken, Account: app, Fetcher: fresh(2 * time.Hour)}
		c[app2] = Spec{Name: app2, Policy: policy.StableToken, Account: app2, Fetcher: wrong}
		r := start(t, Config{Catalog: c})
		if got := r.Recent(t.Context(), 5); len(got) != 0 {
			t.Errorf("at the start: got %v", got)
		}
		r.mustGet(app)
		time.Sleep(time.Second)
		_, err := r.get(app2)
		mustReason(t, err, credential.Refused)
		for range 3 {
			time.Sleep(time.Minute)
			if _, err := r.Refresh(t.Context(), app); err != nil {
				t.Fatal(err)
			}
		}
		text := func(n int) (all []string) {
			var last time.Time
			for _, e := range r.Recent(t.Context(), n) {
				if !last.IsZero() && e.At.After(last) {
					t.Errorf("%s at %v is after the event before", e.Name, e.At)
				}
				last = e.At
				all = append(all, e.Name+" "+e.Cause.String()+" "+e.Outcome)
			}
			return all
		}
		want := []string{app + " refresh ok", app + " refresh ok", app + " refresh ok", app2 + " read upstream", app + " read ok"}
		for _, n := range []int{1, 2, 4, 5, 100} {
			if got := text(n); !slices.Equal(got, want[:min(n, len(want))]) {
				t.Errorf("the last %d:\ngot  %q\nwant %q", n, got, want[:min(n, len(want))])
			}
		}
	})
}

// TestChildren holds that the children of a credential are the configured credentials with it as
// their parent.
func TestChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, Config{Catalog: newPlatform("wxa").catalog()})
		for name, want := range map[string][]string{verify: {component}, component: {preAuth}, preAuth: nil, "none": nil} {
			got := r.Children(t.Context(), name)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if got := r.Tickets(); !slices.Equal(got, []string{verify}) {
			t.Errorf("tickets: got %q", got)
		}
	})
}
