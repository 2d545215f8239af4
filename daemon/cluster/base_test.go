package cluster_test

import (
	"errors"
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
	"tokend/fetchers/secret"
)

// TestGivenDuringCrash gives a grant on another host while a host is down that has an answer on its
// disk. The answer must not replace the grant, of which it knows nothing.
func TestGivenDuringCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		a.crashAfter(1) // the write to its disk
		_ = c.Land(t.Context(), a.answer("t1", "r2")...)
		a.crash()
		b.give("r9")
		a = a.restart(etcd, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		checkGenerations(t, "r9", "r2", a, b)
	})
}

// TestGivenTwiceDuringLanding gives one grant after another while it is not known whether an answer
// has landed.
func TestGivenTwiceDuringLanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var healed atomic.Bool
		var landings atomic.Int32
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			if r.Method != kvtest.Txn || !lands(r.Txn) {
				return kvtest.Fault{}
			}
			if healed.Load() {
				landings.Add(1)
			}
			return kvtest.Fault{Lost: !healed.Load()}
		})
		_ = c.Land(t.Context(), a.answer("t1", "r2")...)
		b.give("r8")
		time.Sleep(100 * time.Millisecond)
		healed.Store(true)
		for landings.Load() == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		b.give("r9")
		time.Sleep(time.Minute)
		synctest.Wait()
		checkGenerations(t, "r9", "r2", a, b)
	})
}

// lands reports whether a transaction stores a grant and ends a claim.
func lands(t cluster.Txn) bool {
	has := func(v cluster.Verb, letter string) bool {
		return slices.ContainsFunc(t.Then, func(op cluster.Op) bool {
			return op.Verb == v && strings.HasPrefix(op.Key, "/tokend/"+letter+"/")
		})
	}
	return has(cluster.Put, "g") && has(cluster.Delete, "l")
}

// checkGenerations checks that current is the grant in force on all nodes, which know other, too.
func checkGenerations(t *testing.T, current, other secret.Text, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		g := n.grant(grant)
		known := slices.ContainsFunc(g.Earlier, func(e record.Generation) bool { return e.Value == other })
		if g.Value != current || !known {
			t.Errorf("%s is in force, %d others known; want %s in force and %s known", []byte(g.Value), len(g.Earlier), []byte(current), []byte(other))
		}
	}
}

// TestDoubtBehindDeadClaim: a host whose answer came too late does not wait for the host that has
// called since, if that one dies and nobody else is left.
func TestDoubtBehindDeadClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		a.client.Cut()
		time.Sleep(30 * time.Second)
		if _, err := b.claim(rotating); err != nil {
			t.Fatal(err)
		}
		a.client.Heal()
		time.Sleep(time.Second)
		_ = c.Land(t.Context(), a.answer("t1", "r2")...)
		b.crash()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !a.doubtful(token) {
			t.Error("there is no doubt")
		}
		if _, err := a.claim(rotating); err != nil {
			t.Errorf("nobody can fetch the credential any more: %v", err)
		}
		checkGenerations(t, "r1", "r2", a)
	})
}

// TestAnswerGivenUp: an answer that has not landed because other records have changed, and is not
// landed again, is not lost.
func TestAnswerGivenUp(t *testing.T) {
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
		b.give("r9")
		if err := c.Land(t.Context(), a.answer("t1", "r2")...); !errors.Is(err, refresh.ErrRenewed) {
			t.Errorf("got %v", err)
		}
		if err := c.Give(t.Context(), true); err != nil {
			t.Error(err)
		}
		a.client.UnmuteWatches()
		time.Sleep(time.Minute)
		synctest.Wait()
		checkGenerations(t, "r9", "r2", a, b)
		if !a.doubtful(token) || !b.doubtful(token) {
			t.Error("there is no doubt")
		}
	})
}
