package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestKeptClaimReleased: a claim that a poller has kept is released although another host was first
// to change a budget and the poller then makes no call.
func TestKeptClaimReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
		value := credentialOf(polled.Name, "ticket", time.Now())
		for range 2 {
			c, err := a.claim(polled, budgetOf("work/ww1#calls", 1, time.Now()))
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := len(etcd.Keys("/tokend/l/")); n != 1 {
			t.Fatalf("%d claims are kept", n)
		}
		synctest.Wait()
		a.client.MuteWatches()
		if err := b.Store().Put(t.Context(), budgetOf("work/ww1#calls", 2, time.Now())); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Claim(t.Context(), polled, budgetOf("work/ww1#calls", 2, time.Now())); !errors.Is(err, refresh.ErrRenewed) {
			t.Fatalf("got %v", err)
		}
		a.client.UnmuteWatches()
		time.Sleep(3 * time.Minute)
		if n := len(etcd.Keys("/tokend/l/")); n != 0 {
			t.Errorf("%d claims are left", n)
		}
	})
}
