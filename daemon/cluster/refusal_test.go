package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestRefusalOfOtherGrant: WeChat refuses a grant, and the customer authorizes again at another
// host before the refusal is stored. The hold would outlast the new grant, so it is not stored.
func TestRefusalOfOtherGrant(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprint("cut off ", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				a.give("r1")
				synctest.Wait()
				c, err := a.claim(rotating)
				if err != nil {
					t.Fatal(err)
				}
				a.client.MuteWatches()
				if cut {
					a.client.Faults(func(r kvtest.Request) kvtest.Fault {
						return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
					})
				} else {
					b.give("r2")
				}
				err = c.Land(t.Context(), holdOf(token, "refused"))
				if cut {
					if !errors.Is(err, refresh.ErrUnconfirmed) {
						t.Fatalf("got %v", err)
					}
					b.give("r2")
					a.client.Faults(nil)
					a.client.UnmuteWatches()
					time.Sleep(20 * time.Second)
					if n := a.Stats().Offers; n != 0 || len(etcd.Keys("/tokend/l/")) != 0 {
						t.Errorf("%d offers and %d claims are left", n, len(etcd.Keys("/tokend/l/")))
					}
				} else {
					if newer, ok := errors.AsType[*refresh.NewerError](err); !ok || len(newer.Records) != 1 || newer.Records[0].Key != grant {
						t.Errorf("got %v, want the newer grant", err)
					}
					_ = c.Give(t.Context(), false)
				}
				if o.value(record.Holds, token) != nil {
					t.Error("the hold was stored")
				}
			})
		})
	}
}
