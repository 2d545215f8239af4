package cluster_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// TestRevokedAfterLanding: a landing is applied without an answer, and before it is repeated the
// customer withdraws the authorization at another host. The engine follows that: if the copy
// already had it, the engine would see no change.
func TestRevokedAfterLanding(t *testing.T) {
	for _, next := range []secret.Text{"r2", ""} {
		t.Run("next "+string(next), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				a.give("r1")
				o := newOperator(t, etcd)
				c, err := a.claim(rotating)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				revoked := a.grant(grant)
				answer := a.answer("t1", "r2")
				if next == "" {
					answer = answer[:1] // the grant stays
				} else {
					revoked.Replace(record.Generation{Value: next, At: time.Now(), Source: "rotation"})
				}
				revoked.Number += 2
				revoked.Revoked = time.Now()
				var landings, followed atomic.Int32
				a.client.MuteWatches() // the names are locked
				a.client.Faults(func(r kvtest.Request) kvtest.Fault {
					lands := false
					for _, op := range r.Txn.Then {
						lands = lands || op.Key == o.key(record.Credentials, token)
					}
					return kvtest.Fault{Unseen: r.Method == kvtest.Txn && lands && landings.Add(1) == 1}
				})
				time.AfterFunc(time.Second, func() { o.put(revoked.Encode()) })
				if err := c.Land(t.Context(), answer...); err != nil {
					t.Fatal(err)
				}
				a.mu.Lock()
				a.watch = func(r record.Record) {
					if r.Table == record.Grants && a.grant(grant).Revoked.IsZero() {
						followed.Add(1)
					}
				}
				a.mu.Unlock()
				a.client.UnmuteWatches()
				time.Sleep(time.Minute)
				synctest.Wait()
				if landings.Load() < 2 || a.value(token) != "t1" {
					t.Errorf("%d landings, and the value is %s", landings.Load(), []byte(a.value(token)))
				}
				if a.grant(grant).Revoked.IsZero() || followed.Load() == 0 {
					t.Error("the engine has not followed the revocation")
				}
			})
		})
	}
}

// TestSameGrantAnswered: WeChat answers the calls of two hosts with the same refresh token. The
// grant that the second host has stored does not show that the answer of the first has landed: its
// token may be WeChat's newest.
func TestSameGrantAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.client.MuteWatches()
		etcd.Expire("/tokend/m/a")
		time.Sleep(100 * time.Millisecond)
		other, err := b.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Land(t.Context(), b.answer("t2", "r2")...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		err = c.Land(t.Context(), a.answer("t1", "r2")...)
		a.client.UnmuteWatches()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(err, refresh.ErrOvertaken) || !a.doubtful(token) || !b.doubtful(token) {
			t.Errorf("%v; no doubt: value %s", err, []byte(b.value(token)))
		}
	})
}
