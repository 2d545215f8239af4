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

// TestImportApart: no grant is accepted that etcd does not confirm, not even with a ticket.
func TestImportApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := run(t, kvtest.New(), "a", newDisk())
		a.client.Cut()
		now := moment(time.Now())
		ticket := record.Credential{Name: "ticket", Value: "v", Boot: "boot@a", Issued: now, Seen: now, End: moment(time.Now().Add(time.Hour)), Stamp: time.Now()}
		g := record.Grant{Name: grant, Generation: record.Generation{Value: "r1", At: time.Now(), Source: "put"}}
		if err := a.Store().Put(t.Context(), ticket.Encode(), g.Encode()); !errors.Is(err, refresh.ErrApart) {
			t.Errorf("got %v", err)
		}
		if r, err := a.Store().Get(record.Grants, grant); err != nil || r.Value != nil {
			t.Errorf("the grant is stored, %v", err)
		}
		if err := a.Store().Put(t.Context(), ticket.Encode()); err != nil {
			t.Errorf("the ticket alone: %v", err)
		}
	})
}
