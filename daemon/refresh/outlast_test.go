package refresh

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// A disk that hangs keeps nobody who has stopped waiting. What was begun is done when the disk
// continues, and the engine's end waits for it.
func TestHungDiskKeepsNoCaller(t *testing.T) {
	now := time.Now()
	for name, call := range map[string]func(ctx context.Context, r *rig) error{
		"put of a ticket": func(ctx context.Context, r *rig) error { return r.Put(ctx, verify, "t2") },
		"put of a grant":  func(ctx context.Context, r *rig) error { return r.Put(ctx, customer("wxa", "refresh_token"), "g2") },
		"put of many": func(ctx context.Context, r *rig) error {
			errs := r.PutAll(ctx, []credential.Deposit{
				{Name: verify, Value: "t2"},
				{Name: customer("wxa", "refresh_token"), Value: "g2"},
				{Name: "no/such/name", Value: "v"},
			})
			if of, ok := errors.AsType[*credential.Error](errs[2]); !ok || of.Reason != credential.NotFound {
				t.Errorf("a name that does not exist: got %v", errs[2])
			}
			return errors.Join(errs[:2]...)
		},
		"push": func(ctx context.Context, r *rig) error { return r.Push(ctx, verify, "t2", now.Add(time.Hour)) },
		"revocation": func(ctx context.Context, r *rig) error {
			return r.Revoke(ctx, customer("wxa", "refresh_token"), now.Add(time.Hour))
		},
		"authorization code": func(ctx context.Context, r *rig) error {
			return r.Accept(ctx, platform, "code-of-wxa", now, now.Add(time.Hour))
		},
		"page of customers": func(ctx context.Context, r *rig) error { _, err := r.Import(ctx, platform, 0); return err },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.list = func(int, int) (fetchers.AuthorizerPage, error) {
					return fetchers.AuthorizerPage{Total: 1, Authorizers: []fetchers.ListedAuthorizer{{AppID: "wxa", RefreshToken: "g2"}}}, nil
				}
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("t1", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "g1")
				r.mustGet(component)
				synctest.Wait()
				d.gate = make(chan struct{})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				began := time.Now()
				called := make(chan error, 1)
				go func() { called <- call(ctx, r) }()
				select {
				case err := <-called:
					if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 30*time.Second {
						t.Errorf("got %v after %s, want %v after 30s", err, took, context.DeadlineExceeded)
					}
				case <-time.After(time.Hour):
					close(d.gate)
					t.Fatal("nothing was returned for an hour")
				}
				ended := make(chan struct{})
				go func() { r.stop(); close(ended) }()
				synctest.Wait()
				select {
				case <-ended:
					t.Error("the engine has ended before what was begun has")
				default:
				}
				close(d.gate)
				<-ended
			})
		})
	}
}
