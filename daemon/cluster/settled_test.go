package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestSettledCodeNotOffered: a host accepts a code while etcd does not answer, and another host has
// it, too, and exchanges it. The first host's offer must not put the code in place of what it was
// exchanged for: the record would stay, and a second event with the code would cost a call.
func TestSettledCodeNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
		})
		for _, n := range []*node{a, b} {
			if err := n.Store().Put(t.Context(), codeOf("code", "v")); err != nil {
				t.Fatal(err)
			}
		}
		c, err := b.claim(refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Land(t.Context(), record.Record{Table: record.Codes, Key: "code"}, spentOf("code")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // a follows
		a.client.Faults(nil)
		time.Sleep(20 * time.Second)
		if n := a.Stats().Offers; n != 0 {
			t.Errorf("%d offers are left", n)
		}
		for _, n := range []*node{a, b} {
			code, _ := n.disk.Get(record.Codes, "code")
			spent, _ := n.disk.Get(record.Exchanged, "code")
			if code.Value != nil || spent.Value == nil {
				t.Errorf("the code is to be exchanged again: %v, exchanged: %v", code.Value != nil, spent.Value != nil)
			}
		}
	})
}

// TestGivenUpCodeNotOffered: the same, but the other host finds out that the code is used up, and
// deletes it.
func TestGivenUpCodeNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
		})
		for _, n := range []*node{a, b} {
			if err := n.Store().Put(t.Context(), codeOf("code", "v")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // a follows
		if err := b.Store().Put(t.Context(), record.Record{Table: record.Codes, Key: "code"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		a.client.Faults(nil)
		time.Sleep(20 * time.Second)
		if n := a.Stats().Offers; n != 0 {
			t.Errorf("%d offers are left", n)
		}
		for _, n := range []*node{a, b} {
			if code, _ := n.disk.Get(record.Codes, "code"); code.Value != nil {
				t.Error("the code is back")
			}
		}
	})
}
