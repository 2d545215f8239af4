package refresh

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/fetchers"
)

// TestExpiredWhileWritten: a value that expires while a slow store writes it is not given to the
// readers who wait for it. They get the next one.
func TestExpiredWhileWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMortalToken(time.Hour)
		calls := 0
		m.answer = func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			life := time.Hour
			if calls++; calls == 1 {
				life = 2 * time.Second
			}
			return token(fmt.Sprint(time.Now().Add(life).Unix()), life), nil
		}
		d := newDisk()
		d.Delay(3 * time.Second)
		r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Account: app, Owner: app, Fetcher: m})})
		v, err := r.Get(t.Context(), app)
		if err != nil || m.dead(string(v.Text)) {
			t.Errorf("got %v, %v, which ended at %s, at %d", v, err, v.Text, time.Now().Unix())
		}
	})
}

// TestExpiredWhileLocked is the same while another write keeps the name locked.
func TestExpiredWhileLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMortalToken(time.Hour)
		calls := 0
		var r *rig
		m.answer = func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			life := time.Hour
			if calls++; calls == 1 {
				life = 2 * time.Second
				end, err := r.locks.lock(context.Background(), app)
				if err != nil {
					t.Error(err)
				}
				time.AfterFunc(3*time.Second, end)
			}
			return token(fmt.Sprint(time.Now().Add(life).Unix()), life), nil
		}
		r = start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Account: app, Owner: app, Fetcher: m})})
		v, err := r.Get(t.Context(), app)
		if err != nil || m.dead(string(v.Text)) {
			t.Errorf("got %v, %v, which ended at %s, at %d", v, err, v.Text, time.Now().Unix())
		}
	})
}
