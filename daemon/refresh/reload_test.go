package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers"
)

// TestACallIsMadeByTheConfigurationInForce changes a secret while the parent is being asked for.
func TestACallIsMadeByTheConfigurationInForce(t *testing.T) {
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
			return specs(Spec{Name: app, Kind: StableToken, Fetcher: parent},
				Spec{Name: tick, Kind: Ticket, Parent: app, Settings: settings, Fetcher: up})
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

// TestGrantsOfWhatIsNotConfiguredAreNotListed: of an account that was taken out of the configuration nothing is to be
// seen, by whatever verb; its customers' grants are kept, and back with it.
func TestGrantsOfWhatIsNotConfiguredAreNotListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		r := start(t, Config{Catalog: p.catalog()})
		for _, c := range p.children {
			r.mustPut(customer(c, "refresh_token"), "refresh")
		}
		want := func(n int) {
			t.Helper()
			if got, _ := r.List(platform+"/wx", nil); got != n {
				t.Errorf("%d grants are listed, want %d", got, n)
			}
			_, err := r.Status(customer("wxa", "refresh_token"))
			if (err == nil) != (n > 0) {
				t.Errorf("status: %v", err)
			}
		}
		want(2)
		r.SetCatalog(specs(Spec{Name: app, Kind: StableToken, Fetcher: fresh(2 * time.Hour)}))
		want(0)
		r.SetCatalog(p.catalog())
		want(2)
	})
}
