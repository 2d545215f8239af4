package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// missed applies deletions that the watches of nodes never yield, because etcd compacts at their
// revision.
func (o *operator) missed(nodes []*node, ops ...cluster.Op) {
	o.t.Helper()
	behind := func(n *node) bool { return n.Stats().Revision != o.etcd.Revision() }
	for synctest.Wait(); slices.ContainsFunc(nodes, behind); synctest.Wait() {
		time.Sleep(time.Millisecond)
	}
	for _, n := range nodes {
		n.client.MuteWatches()
	}
	o.do(ops...)
	if err := o.etcd.Compact(o.etcd.Revision()); err != nil {
		o.t.Fatal(err)
	}
	for _, n := range nodes {
		n.client.UnmuteWatches()
	}
	synctest.Wait()
}

// claimed reports whether the engine would know of a claim.
func (n *node) claimed(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, claimed := n.claims[name]
	return claimed
}

func (o *operator) deletion(table record.Table, name string) cluster.Op {
	return cluster.Op{Verb: cluster.Delete, Key: o.key(table, name)}
}

// TestMissedEnd drops the end of a session from a watch. The host notices it within a minute.
func TestMissedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		time.Sleep(5 * time.Second)
		b.client.Cut()
		o.missed([]*node{a},
			cluster.Op{Verb: cluster.Delete, Key: "/tokend/m/b"}, cluster.Op{Verb: cluster.Delete, Key: "/tokend/n/b"})
		if got := a.Stats(); got.Members != 2 || got.Reloads != 1 {
			t.Fatalf("got %+v: the end was not missed", got)
		}
		time.Sleep(time.Minute)
		if got := a.Stats().Members; got != 1 {
			t.Errorf("got %d members a minute later", got)
		}
	})
}

// TestMissedDeletions drops deletions of every table from a watch. Those of claims are noticed
// within a minute, the others within an hour. A grant is put back.
func TestMissedDeletions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		soon := time.Now().Add(-119 * time.Minute) // ends in a minute
		spent := record.Spent{Owner: "p", Child: "c", Until: moment(time.Now().Add(time.Minute))}
		o.put(grantOf("g", "r", 1), credentialOf(token, "v", soon), holdOf("h", "x"), spent.Encode("s"))
		b.give("r1")
		c, err := b.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !a.claimed(token) {
			t.Fatal("the claim is not known")
		}
		claim := etcd.Keys("/tokend/l/")[0].Key
		o.missed([]*node{a, b}, cluster.Op{Verb: cluster.Delete, Key: claim}, o.deletion(record.Grants, "g"), o.deletion(record.Holds, "h"),
			o.deletion(record.Exchanged, "s"), o.deletion(record.Credentials, token))
		if got := a.Stats().Reloads; got != 1 {
			t.Fatalf("compared %d times: the deletions were not missed", got)
		}
		if !a.claimed(token) {
			t.Fatal("the deletion of the claim was not missed")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.claimed(token) {
			t.Error("the claim seems to be in force for more than a minute")
		}
		time.Sleep(time.Hour)
		if got := o.value(record.Grants, "g"); got == nil {
			t.Error("the grant is lost")
		}
		if r, err := a.Store().Get(record.Holds, "h"); err != nil || r.Value != nil {
			t.Errorf("the hold is still in force: %v", err)
		}
		for table, name := range map[record.Table]string{record.Exchanged: "s", record.Credentials: token} {
			if o.value(table, name) != nil {
				t.Errorf("%s %s was put back although it has ended", table, name)
			}
		}
		_ = c.Give(t.Context(), false)
	})
}

// TestLateEvents lets a watch lag behind what was read when it was restarted. The old changes that
// it yields make no host a member again.
func TestLateEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		time.Sleep(5 * time.Second)
		a.client.Lag(20 * time.Second)
		b := begin(t, etcd, "b", newDisk())
		time.Sleep(5 * time.Second)
		b.stop()
		<-b.done
		a.client.BreakWatches()
		for range 400 {
			time.Sleep(100 * time.Millisecond)
			if got := a.Stats().Members; got != 1 {
				t.Fatalf("got %d members", got)
			}
		}
	})
}

// TestRestoredClaims restores etcd to a time at which there was another claim. Nothing but doubt is
// left in the end, and the answer of a call of before the restore is not lost.
func TestRestoredClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		first, err := b.claim(refresh.Want{Table: record.Credentials, Name: "official_account/wx1/access_token", Rotates: true})
		if err != nil {
			t.Fatal(err)
		}
		backup := etcd.Backup()
		if err := first.Give(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		etcd.Restore(backup, false)
		if err := c.Land(t.Context(), a.answer("t1", "r2")...); !errors.Is(err, refresh.ErrOvertaken) {
			t.Errorf("landing: got %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		checkKept(t, true, "r2", "t1", a, b)
		for _, kv := range etcd.Keys("/tokend/l/") {
			name, value, err := newOperator(t, etcd).sealer.Open(kv.Key, kv.Value)
			if err != nil {
				t.Fatal(err)
			}
			c, err := record.DecodeClaim(record.Record{Table: record.Claims, Key: name, Value: value})
			if err != nil || c.State != record.Doubtful {
				t.Errorf("a claim of before the restore is left: %s of %s, %v", name, c.Host, err)
			}
		}
	})
}

// TestRestoredDoubt restores etcd from a backup of before a call without an answer. The doubt is on
// no disk but etcd's, and is left again by the hosts that know of it.
func TestRestoredDoubt(t *testing.T) {
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprint("host is dead ", dead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				a.give("r1")
				time.Sleep(15 * time.Second)
				backup := etcd.Backup()
				c, err := a.claim(rotating)
				if err != nil {
					t.Fatal(err)
				}
				if dead {
					a.crash()
				} else if err := c.Give(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				etcd.Restore(backup, true)
				time.Sleep(time.Minute)
				synctest.Wait()
				if !b.doubtful(token) || len(etcd.Keys("/tokend/l/")) != 1 {
					t.Errorf("doubtful: %v, claims: %d", b.doubtful(token), len(etcd.Keys("/tokend/l/")))
				}
			})
		})
	}
}

// TestRestoredTakeover restores etcd from a backup of before a call without an answer. A flight has
// taken the doubt over, and makes no call, or WeChat refuses it. The doubt is left again.
func TestRestoredTakeover(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c refresh.Claim){
		"give": func(t *testing.T, c refresh.Claim) { _ = c.Give(t.Context(), false) },
		"hold": func(t *testing.T, c refresh.Claim) { _ = c.Land(t.Context(), holdOf(token, "x")) },
	} {
		for _, wait := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(name, " after ", wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					etcd := kvtest.New()
					a := run(t, etcd, "a", newDisk())
					a.give("r1")
					time.Sleep(15 * time.Second)
					backup := etcd.Backup()
					c, err := a.claim(rotating)
					if err == nil {
						err = c.Give(t.Context(), true)
					}
					if err == nil {
						c, err = a.claim(rotating)
					}
					if err != nil {
						t.Fatal(err)
					}
					etcd.Restore(backup, true)
					time.Sleep(wait)
					end(t, c)
					time.Sleep(time.Minute)
					synctest.Wait()
					if !a.doubtful(token) || len(etcd.Keys("/tokend/l/")) != 1 {
						t.Errorf("doubtful: %v, claims: %d", a.doubtful(token), len(etcd.Keys("/tokend/l/")))
					}
				})
			})
		}
	}
}

// TestRestoredClaimOfDoubt: a host's answer could not land and waits, as doubt, for the call of
// another host. A restore of etcd brings back the host's own claim, in its session, which lasts.
// The doubt takes the place of it.
func TestRestoredClaimOfDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(15 * time.Second)
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		backup := etcd.Backup()
		a.client.MuteWatches()
		b.give("r2")
		if err := c.Land(t.Context(), a.answer("t1", "r3")...); !errors.Is(err, refresh.ErrRenewed) {
			t.Fatalf("got %v", err)
		}
		a.client.UnmuteWatches()
		var writes atomic.Int32
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn) && writes.Add(1) > 1}
		})
		_ = c.Give(t.Context(), true)
		synctest.Wait()
		if _, err := b.claim(rotating); err != nil {
			t.Fatal(err)
		}
		a.client.Faults(nil)
		time.Sleep(5 * time.Second)
		etcd.Restore(backup, true)
		time.Sleep(time.Minute)
		if _, err := run(t, etcd, "c", newDisk()).claim(rotating); err != nil {
			t.Errorf("another host cannot call: %v", err)
		}
	})
}

// TestRestoredClaimBeforeDoubt restores etcd to the claim of a call that has left doubt since. The
// claim's host lives, and frees the claim. The doubt stays.
func TestRestoredClaimBeforeDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(15 * time.Second)
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		backup := etcd.Backup()
		if err := c.Give(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		etcd.Restore(backup, true)
		time.Sleep(time.Minute)
		if !a.doubtful(token) || !b.doubtful(token) {
			t.Error("a call without an answer has left no doubt")
		}
	})
}

// TestClaimDuringComparison restores etcd from a backup without a doubt. A host claims before all
// have compared everything, and makes no call. The doubt stays.
func TestClaimDuringComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(15 * time.Second)
		backup := etcd.Backup()
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Give(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		newOperator(t, etcd).put(grantOf("other", "x", 1))
		time.Sleep(time.Second)
		for _, n := range []*node{a, b} {
			n.client.Faults(func(r kvtest.Request) kvtest.Fault {
				if r.Method == kvtest.Txn && len(r.Txn.Then) == 1 && strings.HasPrefix(r.Txn.Then[0].Key, "/tokend/g/") {
					return kvtest.Fault{Answer: 300 * time.Millisecond} // while the grant is put back
				}
				return kvtest.Fault{}
			})
		}
		compared := a.Stats().Reloads
		etcd.Restore(backup, true)
		for c = nil; c == nil; time.Sleep(time.Millisecond) {
			if c, err = a.Claim(t.Context(), rotating); err != nil {
				c = nil
			}
		}
		if a.Stats().Reloads != compared {
			t.Error("claimed only after the comparison")
		}
		time.Sleep(30 * time.Second)
		if err := c.Give(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !a.doubtful(token) || !b.doubtful(token) {
			t.Error("the doubt is lost")
		}
	})
}

// TestPresenceLost: etcd has lost the presence key of a host, but not its lease, as after a restore
// of a backup that was made in between. The host begins another session, and claims again.
func TestPresenceLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		a.give("r1")
		newOperator(t, etcd).do(cluster.Op{Verb: cluster.Delete, Key: "/tokend/m/a"})
		time.Sleep(20 * time.Second)
		if _, err := a.claim(rotating); err != nil {
			t.Error(err)
		}
	})
}
