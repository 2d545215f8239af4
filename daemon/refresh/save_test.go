package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestSavedValueEndsItsHold holds that the record of a hold is deleted together with the writing of
// the value that ended it, and stays if another hold has begun since.
func TestSavedValueEndsItsHold(t *testing.T) {
	for what, again := range map[string]bool{"ended": false, "another since": true} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bad := true
				up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
					if bad {
						return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
					}
					return token("tok", 2*time.Hour), nil
				}}
				d := &refusing{disk: newDisk(), pick: has(record.Credentials)}
				r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Kind: CorpToken, Fetcher: up})})
				_, err := r.get(app)
				mustReason(t, err, Refused)
				bad = false
				d.left.Store(1)
				if _, err := r.Refresh(t.Context(), app); err != nil {
					t.Fatal(err)
				}
				if d.has(record.Credentials, app) || !d.has(record.Holds, app) {
					t.Fatal("the value was not refused, or the hold is not on disk")
				}
				if again {
					bad = true
					if _, err := r.Refresh(t.Context(), app); err == nil {
						t.Fatal("no error")
					}
				}
				time.Sleep(2 * saveEvery)
				synctest.Wait()
				if !d.has(record.Credentials, app) {
					t.Error("the value has not been written since")
				}
				if d.has(record.Holds, app) != again {
					t.Errorf("a hold is on disk: %v, want %v", !again, again)
				}
			})
		})
	}
}
