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

// TestGrantWithoutClaimKept: the grant that a code has brought while etcd was unreachable survives
// the host.
func TestGrantWithoutClaimKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.client.Cut()
		time.Sleep(30 * time.Second)
		c, err := a.claim(refresh.Want{Table: record.Codes, Name: "code", Alone: true})
		if c == nil || !errors.Is(err, refresh.ErrUnconfirmed) {
			t.Fatalf("got %v, %v", c, err)
		}
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "r1", At: time.Now(), Source: "event"}}
		if err := c.Land(t.Context(), g.Encode()); !errors.Is(err, refresh.ErrUnconfirmed) {
			t.Errorf("got %v", err)
		}
		a = a.restart(etcd, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, n := range []*node{a, b} {
			if got := n.grant(grant); got.Value != "r1" {
				t.Errorf("got %+v", got)
			}
		}
	})
}
