package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestWithdrawnNotRestored restores etcd from a backup of before a withdrawal, with a value of the
// withdrawn authorization. The customer has authorized again. No host takes the value over, and a
// host that has missed the withdrawal does not put its copy back.
func TestWithdrawnNotRestored(t *testing.T) {
	for _, missed := range []string{"by none", "by one", "by the first to compare"} {
		t.Run("missed "+missed, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk(), withGrant)
				o := newOperator(t, etcd)
				a.give("r1")
				o.put(credentialOf(token, "dead", time.Now()))
				time.Sleep(10 * time.Second)
				backup := etcd.Backup()
				o.put(grantOf("other", "r", 1)) // so all hosts see that etcd was restored
				synctest.Wait()
				if missed != "by none" {
					b.crash()
				}
				o.put(deletionOf(record.Credentials, token))
				a.give("r2")
				time.Sleep(time.Minute)
				if missed == "by the first to compare" {
					a.crash()
				}
				etcd.Restore(backup, true)
				time.Sleep(30 * time.Second)
				if missed != "by none" {
					b = b.restart(etcd, "b", withGrant)
				}
				if missed == "by the first to compare" {
					time.Sleep(30 * time.Second)
					a = a.restart(etcd, "a", withGrant)
				}
				time.Sleep(time.Minute)
				if o.value(record.Credentials, token) != nil || a.value(token) != "" || b.value(token) != "" {
					t.Error("the token came back")
				}
				o.wantGrant("afterwards", grant, "r2", a, b)
			})
		})
	}
}

// withdrawn runs a host with a token whose authorization is withdrawn after the backup. Since then,
// the customer has authorized again.
func withdrawn(t *testing.T, etcd *kvtest.Etcd) (*node, *operator, *kvtest.Backup) {
	a := run(t, etcd, "a", newDisk(), withGrant)
	o := newOperator(t, etcd)
	a.give("r1")
	o.put(credentialOf(token, "dead", time.Now()))
	time.Sleep(10 * time.Second)
	backup := etcd.Backup()
	o.put(deletionOf(record.Credentials, token))
	a.give("r2")
	return a, o, backup
}

// followRefusal takes over what err, the refusal of a claim, brings. That is not the token.
func (n *node) followRefusal(err error) {
	n.t.Helper()
	newer, ok := errors.AsType[*refresh.NewerError](err)
	if !ok {
		n.t.Fatalf("got %v, want a newer record", err)
	}
	n.Follow(newer.Records...)
	if n.value(token) != "" {
		n.t.Error("the claim has brought the token back")
	}
}

// TestWithdrawnNotClaimed restores etcd as above, and a host claims a call before it compares. What
// refuses the claim does not bring the value back.
func TestWithdrawnNotClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, o, backup := withdrawn(t, etcd)
		time.Sleep(61 * time.Second) // not at a heartbeat, which would show the restore
		a.client.MuteWatches()
		etcd.Restore(backup, true)
		_, err := a.Claim(t.Context(), refresh.Want{Table: record.Credentials, Name: token, Grant: grant})
		a.followRefusal(err)
		a.client.UnmuteWatches()
		time.Sleep(time.Minute)
		if o.value(record.Credentials, token) != nil || a.value(token) != "" {
			t.Error("the token came back")
		}
	})
}

// TestWithdrawnNotClaimedLate: what refuses such a claim was read before the host has compared
// everything, and arrives later.
func TestWithdrawnNotClaimedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, o, backup := withdrawn(t, etcd)
		time.Sleep(61 * time.Second)
		etcd.Restore(backup, true)
		deleting := make(chan struct{})
		a.client.Faults(func(r kvtest.Request) (f kvtest.Fault) {
			switch {
			case r.Method != kvtest.Txn || len(r.Txn.Then) == 0:
			case strings.HasPrefix(r.Txn.Then[0].Key, "/tokend/l/"):
				f.Answer = time.Second
			case r.Txn.Then[0].Verb == cluster.Delete:
				close(deleting)
				f.Delay = time.Second / 10
			}
			return f
		})
		done := make(chan error)
		go func() {
			<-deleting
			_, err := a.Claim(t.Context(), rotating)
			done <- err
		}()
		if err := a.Store().Put(t.Context(), grantOf("other", "r", 1)); err != nil { // shows the restore
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		if o.value(record.Credentials, token) != nil {
			t.Fatal("the host has not compared everything")
		}
		err := <-done
		a.followRefusal(err)
	})
}

// TestLapsedClaimedAfterRestore: a host has deleted its copy of a value that has lapsed, soon after
// etcd was restored. It claims the next call at once.
func TestLapsedClaimedAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk(), withGrant)
		a.give("r1")
		newOperator(t, etcd).put(credentialOf(token, "v", time.Now()))
		time.Sleep(10 * time.Second)
		etcd.Restore(etcd.Backup(), true)
		time.Sleep(30 * time.Second)
		if a.Stats().Reloads < 2 {
			t.Fatal("the host has not noticed the restore")
		}
		if err := a.Store().Put(t.Context(), deletionOf(record.Credentials, token)); err != nil {
			t.Fatal(err)
		}
		_, err := a.Claim(t.Context(), rotating)
		if newer, ok := errors.AsType[*refresh.NewerError](err); ok {
			a.Follow(newer.Records...)
			_, err = a.Claim(t.Context(), rotating)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// TestLackedValueRestored: after a restore, etcd has a value that a host lacks, of the same grant.
// The host takes the value over.
func TestLackedValueRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk(), withGrant)
		o := newOperator(t, etcd)
		a.give("r1")
		o.put(credentialOf(token, "v", time.Now()))
		time.Sleep(10 * time.Second)
		backup := etcd.Backup()
		o.put(deletionOf(record.Credentials, token))
		time.Sleep(time.Minute)
		if a.value(token) != "" {
			t.Fatal("the host does not lack the value")
		}
		etcd.Restore(backup, true)
		time.Sleep(time.Minute)
		if o.value(record.Credentials, token) == nil || a.value(token) != "v" {
			t.Error("the host still lacks the value")
		}
	})
}
