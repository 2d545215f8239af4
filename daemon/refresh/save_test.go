package refresh

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
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
				r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.CorpToken, Fetcher: up})})
				_, err := r.get(app)
				mustReason(t, err, credential.Refused)
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

// TestRefusedSavedLater holds that the engine repeats each kind of refused write until the disk
// takes it, although nothing else makes it write.
func TestRefusedSavedLater(t *testing.T) {
	grant, child := customer("wxa", "refresh_token"), customer("wxa", "access_token")
	get := func(name string) func(*rig) error {
		return func(r *rig) error { _, err := r.get(name); return err }
	}
	exchange := func(code secret.Text) func(*rig) error {
		return func(r *rig) error { _, err := r.Exchange(r.t.Context(), platform, code); return err }
	}
	for _, tc := range []struct {
		name  string
		table record.Table // of the refused records
		key   string
		fails bool // the caller gets an error
		do    func(r *rig) error
	}{
		{"fetched value", record.Credentials, app, false, get(app)},
		{"count of a call", record.Budgets, app + "#token", false, get(app)},
		{"pushed ticket", record.Credentials, verify, true, func(r *rig) error { return r.Push(r.t.Context(), verify, "next", time.Now()) }},
		{"put ticket", record.Credentials, verify, true, func(r *rig) error { return r.Put(r.t.Context(), verify, "next") }},
		{"first token of a customer", record.Credentials, child, false, exchange("code-of-wxa")},
		{"grant", record.Grants, grant, true, exchange("code-of-wxa")},
		{"grant without a token", record.Grants, grant, true, exchange("bare code-of-wxa")},
		{"rotated grant", record.Grants, grant, false, get(child)},
		{"rotated grant of a late answer", record.Grants, grant, true, func(r *rig) error { _, err := r.Refresh(r.t.Context(), child); return err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.exchange = func(inner exchangeFunc) exchangeFunc {
					return func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
						auth, err := inner(ctx, parent, secret.Text(strings.TrimPrefix(string(code), "bare ")))
						if strings.HasPrefix(string(code), "bare ") {
							auth.Token = nil
						}
						return auth, err
					}
				}(p.exchange)
				p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					got := token("tok", 2*time.Hour)
					got.Grant = "rotated"
					if strings.HasSuffix(tc.name, "late answer") {
						got.ExpiresIn = 0
					}
					return got, nil
				})
				c := p.catalog()
				c[app] = Spec{Name: app, Account: app, Owner: app, Policy: policy.RotatingToken, Fetcher: fresh(2 * time.Hour)}
				d := &refusing{disk: newDisk(), pick: has(tc.table)}
				r := start(t, Config{Store: d, Catalog: c})
				r.mustPush("ticket", time.Now())
				r.mustPut(grant, "refresh")
				r.mustGet(component)
				time.Sleep(time.Minute)
				before, _ := d.Get(tc.table, tc.key)
				stored := func() bool {
					synctest.Wait()
					now, _ := d.Get(tc.table, tc.key)
					return !bytes.Equal(now.Value, before.Value)
				}
				d.left.Store(1000)
				if err := tc.do(r); (err != nil) != tc.fails {
					t.Errorf("got %v", err)
				}
				time.Sleep(4 * saveEvery)
				if stored() {
					t.Fatal("the disk has refused nothing")
				}
				d.left.Store(0)
				time.Sleep(saveEvery + time.Second)
				if !stored() {
					t.Error("not stored since")
				}
			})
		})
	}
}
