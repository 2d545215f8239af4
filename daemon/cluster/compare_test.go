package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// wantGrant checks the grant that etcd and all hosts have.
func (o *operator) wantGrant(when, name string, value secret.Text, nodes ...*node) {
	o.t.Helper()
	o.check(when, nodes...)
	for i, n := range nodes {
		if g := n.grant(name); g.Value != value {
			o.t.Errorf("%s: host %d has the grant %s, want %s", when, i, string(g.Value), string(value))
		}
	}
}

// TestGrantRolledBack puts an older record of a grant in place of the current one, deletes it, and
// puts another one of the same age there.
func TestGrantRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a, b := run(t, etcd, "a", newDisk(), logTo(&log)), run(t, etcd, "b", newDisk(), logTo(&log))
		o := newOperator(t, etcd)
		for i := range 5 {
			o.put(grantOf("g", fmt.Sprint("r", i+1), uint64(i+1)))
		}
		alarm := func(when string) {
			t.Helper()
			if n := log.count("[ERROR]", "put back in etcd", "name=g"); n != 1 {
				t.Errorf("%s: %d alarms:\n%s", when, n, log.String())
			}
			log.text.Reset()
		}
		synctest.Wait()
		for _, number := range []uint64{4, 1} {
			o.put(grantOf("g", fmt.Sprint("r", number), number))
			time.Sleep(2 * time.Minute)
			o.wantGrant("rolled back", "g", "r5", a, b)
			alarm("rolled back")
		}
		o.put(deletionOf(record.Grants, "g"))
		time.Sleep(2 * time.Minute)
		o.wantGrant("deleted", "g", "r5", a, b)
		alarm("deleted")
		o.put(grantOf("g", "other", 5))
		time.Sleep(2 * time.Minute)
		o.wantGrant("another", "g", "other", a, b)
		alarm("another")
		if g := a.grant("g"); len(g.Earlier) == 0 || g.Earlier[0].Value != "r5" || g.Earlier[0].Source != "offer" || g.Number != 6 {
			t.Errorf("got %+v, want r5 as a further generation", g)
		}
	})
}

// TestGrantKept claims while etcd has lost the grant of the claim, before the mirror notices. What
// the claim returns does not replace the copy.
func TestGrantKept(t *testing.T) {
	for name, lost := range map[string]record.Record{"deleted": deletionOf(record.Grants, grant), "older": grantOf(grant, "r0", 0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				o := newOperator(t, etcd)
				a.give("r1")
				time.Sleep(55 * time.Second) // not when the mirror looks again
				a.client.MuteWatches()
				o.put(lost)
				_, err := a.Claim(t.Context(), rotating)
				newer, ok := errors.AsType[*refresh.NewerError](err)
				if !ok || len(newer.Records) != 1 {
					t.Fatalf("got %v", err)
				}
				a.Follow(newer.Records...)
				if g := a.grant(grant); g.Value != "r1" {
					t.Fatalf("the copy was replaced by %+v", g)
				}
				time.Sleep(time.Second)
				c, err := a.claim(rotating)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Land(t.Context(), a.answer("t1", "r2")...); err != nil {
					t.Error(err)
				}
				a.client.UnmuteWatches()
				time.Sleep(time.Second)
				o.wantGrant("afterwards", grant, "r2", a)
			})
		})
	}
}

// TestMissing deletes what no host deletes. It is put back unless it has ended.
func TestMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		now := time.Now()
		old := now.Add(-119 * time.Minute)
		o.put(credentialOf("c", "v", now), credentialOf("ends", "v", old), budgetOf("b", 1, now), budgetOf("ends", 1, now.Add(-24*time.Hour)))
		synctest.Wait()
		o.put(deletionOf(record.Credentials, "ends"), deletionOf(record.Budgets, "ends"), deletionOf(record.Budgets, "b"))
		time.Sleep(2 * time.Minute)
		o.put(deletionOf(record.Credentials, "c"))
		time.Sleep(time.Hour)
		for _, k := range []struct {
			table record.Table
			name  string
			want  bool
		}{{record.Credentials, "c", true}, {record.Budgets, "b", true}, {record.Budgets, "ends", false}} {
			if got := o.value(k.table, k.name) != nil; got != k.want {
				t.Errorf("%s %s: put back %v, want %v", k.table, k.name, got, k.want)
			}
		}
		if a.value("c") != "v" || b.value("c") != "v" {
			t.Error("a value is lost")
		}
	})
}

// TestRepairDisturbed loses requests and answers of what puts back, in turn.
func TestRepairDisturbed(t *testing.T) {
	for name, fault := range map[string]kvtest.Fault{
		"lost": {Lost: true}, "unseen": {Unseen: true}, "late": {Delay: 3 * time.Second}, "doubled": {Again: time.Second},
		"refused": {Refuse: errors.Join(cluster.ErrDenied)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				o := newOperator(t, etcd)
				backup := etcd.Backup()
				o.put(grantOf("g", "r1", 1), credentialOf("c", "v1", time.Now()))
				synctest.Wait()
				n := 0
				a.client.Faults(func(r kvtest.Request) kvtest.Fault {
					if r.Method != kvtest.Txn || !strings.HasPrefix(r.Txn.If[0].Key, "/tokend/g/") {
						return kvtest.Fault{}
					}
					if n++; n%2 == 0 {
						return kvtest.Fault{}
					}
					return fault
				})
				etcd.Restore(backup, true)
				time.Sleep(time.Minute)
				o.wantGrant("afterwards", "g", "r1", a)
				if n == 0 {
					t.Error("nothing was put back")
				}
			})
		})
	}
}
