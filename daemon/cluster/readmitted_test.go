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
	"tokend/fetchers/secret"
)

// TestReadmittedGrantLate: a customer has withdrawn the authorization and authorizes again. The
// grant of the code cannot land, because another host has taken the claim over, or is fetched
// without etcd. It is in force afterwards: nobody would try it behind the grant that was revoked.
func TestReadmittedGrantLate(t *testing.T) {
	for _, tc := range []struct {
		alone bool
		value secret.Text
	}{{false, "r2"}, {true, "r2"}, {false, "r1"}, {true, "r1"}} {
		alone := tc.alone
		t.Run(fmt.Sprintf("without a claim %v, %s", alone, []byte(tc.value)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				a.give("r1")
				g := a.grant(grant)
				g.Revoked = time.Now()
				if err := a.Store().Put(t.Context(), g.Encode()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				code := refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: !alone}
				readmitted := a.grant(grant)
				readmitted.Replace(record.Generation{Value: tc.value, At: time.Now(), Source: "event"})
				var c refresh.Claim
				var err error
				if alone {
					a.client.Cut()
					time.Sleep(30 * time.Second)
					if c, err = a.Claim(t.Context(), code); c == nil {
						t.Fatal(err)
					}
					if err := c.Land(t.Context(), readmitted.Encode(), spentOf("code")); !errors.Is(err, refresh.ErrUnconfirmed) {
						t.Fatal(err)
					}
					a.client.Heal()
				} else {
					if c, err = a.claim(code); err != nil {
						t.Fatal(err)
					}
					a.client.Cut()
					time.Sleep(30 * time.Second)
					other, err := b.claim(code)
					if err != nil {
						t.Fatal(err)
					}
					if err := other.Land(t.Context(), record.Record{Table: record.Codes, Key: "code"}); err != nil {
						t.Fatal(err)
					}
					a.client.Heal()
					if err := c.Land(t.Context(), readmitted.Encode(), spentOf("code")); !errors.Is(err, refresh.ErrOvertaken) {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				for _, n := range []*node{a, b} {
					if g := n.grant(grant); !g.Live() || g.Value != tc.value {
						t.Errorf("got %+v", g)
					}
				}
			})
		})
	}
}

// TestReadmittedAfterRestore restores etcd to before an authorization was withdrawn. A host that
// has not seen the withdrawal stores the grant of a new one. It stays in force.
func TestReadmittedAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r1", 1))
		time.Sleep(time.Minute)
		backup := etcd.Backup()
		revoked, err := record.DecodeGrant(grantOf("g", "r1", 9))
		if err != nil {
			t.Fatal(err)
		}
		revoked.Revoked = time.Now()
		o.put(revoked.Encode())
		time.Sleep(time.Minute)
		etcd.Restore(backup, true)
		o.put(record.Grant{Name: "g", Generation: record.Generation{Value: "r2", At: time.Now(), Source: "event"}, Number: 2}.Encode())
		time.Sleep(time.Minute)
		for _, n := range []*node{a, b} {
			if g := n.grant("g"); !g.Live() || g.Value != "r2" {
				t.Errorf("got %+v", g)
			}
		}
	})
}
