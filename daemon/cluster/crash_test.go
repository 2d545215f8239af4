package cluster_test

import (
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

// crashAfter lets the host crash after so many more writes, without those of what it does already.
func (n *node) crashAfter(writes int) {
	synctest.Wait()
	d := n.disk
	d.mu.Lock()
	d.left = writes - 1
	d.crashed = writes == 0
	d.mu.Unlock()
	n.client.Faults(func(r kvtest.Request) kvtest.Fault {
		if d.gone() {
			return kvtest.Fault{Lost: true}
		}
		if r.Method == kvtest.Txn && writesEtcd(r.Txn) && d.wrote() {
			return kvtest.Fault{Unseen: true}
		}
		return kvtest.Fault{}
	})
}

// writesEtcd reports whether a transaction is more than a heartbeat or a read.
func writesEtcd(t cluster.Txn) bool {
	for _, op := range t.Then {
		if op.Verb != cluster.Get && !strings.HasPrefix(op.Key, "/tokend/n/") {
			return true
		}
	}
	return false
}

// restart starts a host again on the disk of a crashed one.
func (n *node) restart(etcd *kvtest.Etcd, name string, change ...func(*cluster.Config)) *node {
	n.crash()
	n.disk.mu.Lock()
	n.disk.crashed, n.disk.left = false, -1
	n.disk.mu.Unlock()
	return run(n.t, etcd, name, n.disk, change...)
}

// TestCrashLanding crashes a host after each write of a landing. Only the refresh token of the
// answer works later.
func TestCrashLanding(t *testing.T) {
	for writes := range 8 {
		crashing(t, writes, func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node)) {
			a.crashAfter(writes)
			err := c.Land(t.Context(), a.answer("t1", "r2")...)
			return func(a *node) { checkKept(t, writes > 0 || err == nil, "r2", "t1", a, b) }
		})
	}
}

// crashing starts two hosts, the first of which has a claim with which do does something and
// crashes. The host is started again, and after a minute the result is checked.
func crashing(t *testing.T, writes int, do func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node))) {
	t.Run(fmt.Sprint(writes), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			etcd := kvtest.New()
			a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
			a.give("r1")
			c, err := a.claim(rotating)
			if err != nil {
				t.Fatal(err)
			}
			check := do(t, c, a, b)
			a = a.restart(etcd, "a")
			time.Sleep(time.Minute)
			synctest.Wait()
			check(a)
		})
	})
}

// checkKept checks that no grant is lost: all nodes have next as the grant in force, with the value
// that came with it, or there is doubt, so that a host fetches. If the answer has been written
// anywhere, the grant is known.
func checkKept(t *testing.T, written bool, next, value secret.Text, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		g := n.grant(grant)
		landed := g.Value == next && n.value(token) == value && !n.doubtful(token)
		known := g.Value == next
		for _, e := range g.Earlier {
			known = known || e.Value == next
		}
		if !landed && !n.doubtful(token) {
			t.Errorf("the answer has not landed, and nobody fetches: grant %+v, value %q", g, n.value(token))
		}
		if written && !known {
			t.Errorf("the grant of the answer is lost: %+v", g)
		}
	}
}

// TestCrashOffer crashes a host after each write of an offer: its answer came so late that another
// host has called since.
func TestCrashOffer(t *testing.T) {
	for writes := 1; writes < 12; writes++ { // before the first, nobody can know of the answer
		crashing(t, writes, func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node)) {
			a.client.Cut()
			time.Sleep(30 * time.Second)
			other, err := b.claim(rotating)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Land(t.Context(), b.answer("t2", "r3")...); err != nil {
				t.Fatal(err)
			}
			a.client.Heal()
			a.crashAfter(writes)
			err = c.Land(t.Context(), a.answer("t1", "r2")...)
			return func(a *node) { checkKept(t, writes > 0 || err == nil, "r2", "t1", a, b) }
		})
	}
}

// TestCrashDoubt crashes a host after each write of a doubt.
func TestCrashDoubt(t *testing.T) {
	for writes := range 8 {
		crashing(t, writes, func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node)) {
			a.crashAfter(writes)
			_ = c.Give(t.Context(), true)
			return func(a *node) {
				for _, n := range []*node{a, b} {
					if !n.doubtful(token) {
						t.Error("a call without an answer has left no doubt")
					}
				}
			}
		})
	}
}

// TestCrashPendingDoubt crashes a host after each write of a doubt that has to wait: another host
// has claimed since, and calls. Once the doubt is on the disk, it outlives the crash and that call.
func TestCrashPendingDoubt(t *testing.T) {
	for writes := 1; writes < 7; writes++ { // before the first, nobody can know of the call
		crashing(t, writes, func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node)) {
			a.client.Cut()
			time.Sleep(30 * time.Second)
			other, err := b.claim(rotating)
			if err != nil {
				t.Fatal(err)
			}
			a.client.Heal()
			a.crashAfter(writes)
			_ = c.Give(t.Context(), true)
			time.Sleep(5 * time.Second)
			if b.doubtful(token) {
				t.Error("there is doubt about a claim that is in force")
			}
			if err := other.Land(t.Context(), b.answer("t2", "r2")...); err != nil {
				t.Fatal(err)
			}
			return func(a *node) {
				for _, n := range []*node{a, b} {
					if !n.doubtful(token) {
						t.Error("a call without an answer has left no doubt")
					}
				}
			}
		})
	}
}

// TestCrashUnused crashes a host that has both to wait until another host's call is over: a grant
// whose value was not put in force, and the doubt about that value.
func TestCrashUnused(t *testing.T) {
	crashing(t, 0, func(t *testing.T, c refresh.Claim, a, b *node) (check func(a *node)) {
		a.client.Cut()
		time.Sleep(30 * time.Second)
		other, err := b.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		a.client.Heal()
		if err := c.Land(t.Context(), a.answer("t1", "r2")[1:]...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		a.crash()
		if err := other.Land(t.Context(), b.answer("t2", "r3")...); err != nil {
			t.Fatal(err)
		}
		return func(a *node) { checkKept(t, true, "r2", "t1", a, b) }
	})
}

// TestCrashedExchange crashes a host that exchanges a code. If the code was promised to WeChat, a
// host exchanges it again and takes the claim over. Otherwise nobody does, and the claim is freed,
// as it is when the code has ended.
func TestCrashedExchange(t *testing.T) {
	for _, promised := range []bool{false, true} {
		t.Run(fmt.Sprint("promised ", promised), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				run(t, etcd, "b", newDisk())
				if promised {
					if err := a.Store().Put(t.Context(), codeOf("code", "v")); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := a.claim(refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: true}); err != nil {
					t.Fatal(err)
				}
				a.crash()
				time.Sleep(10 * time.Second)
				if len(etcd.Keys("/tokend/l/")) != 1 {
					t.Error("the claim of a session that lasts was freed")
				}
				time.Sleep(10 * time.Second)
				if left := len(etcd.Keys("/tokend/l/")) == 1; left != promised {
					t.Errorf("the claim is left: %v, want %v", left, promised)
				}
				time.Sleep(2 * time.Hour)
				if len(etcd.Keys("/tokend/l/")) != 0 {
					t.Error("the claim is left when the code has ended")
				}
			})
		})
	}
}
