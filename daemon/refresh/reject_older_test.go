package refresh

import (
	"sync"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

// TestRejectOlder checks that 100 callers replace a value once, and that a value is replaced only
// when it is old enough.
func TestRejectOlder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		reject := func(callers int) {
			t.Helper()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					if err := r.RejectOlder(t.Context(), app, 10*time.Second); err != nil {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
		}
		calls := func(want int) {
			t.Helper()
			if n := up.count(); n != want {
				t.Errorf("calls: got %d, want %d", n, want)
			}
		}
		reject(1)
		calls(0) // there is no value
		r.mustGet(app)
		reject(100)
		calls(1) // it is too young
		time.Sleep(10 * time.Second)
		reject(100)
		calls(2)
		if got := r.mustGet(app); got != "tok-2" {
			t.Errorf("got %s, want tok-2", got)
		}
		time.Sleep(9 * time.Second)
		reject(1)
		calls(2)
		if err := r.RejectOlder(t.Context(), "none", 0); err != nil {
			t.Errorf("no such credential: got %v", err)
		}
	})
}

func TestClass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const ticket, grant = "open_platform/wx1/component_verify_ticket", "open_platform/wx1/wx2/refresh_token"
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(time.Hour)},
			Spec{Name: ticket, Policy: policy.VerifyTicket},
			Spec{Name: grant, Policy: policy.RefreshToken},
		)})
		for name, want := range map[string]credential.Class{app: credential.Fetched, ticket: credential.Pushed, grant: credential.Grant} {
			if got, err := r.Class(name); err != nil || got != want {
				t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
			}
		}
		_, err := r.Class("none")
		mustReason(t, err, credential.NotFound)
	})
}
