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
