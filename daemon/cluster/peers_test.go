package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
)

// peer is a host with clocks that a test sets.
type peer struct {
	*node
	machine
	boot string
}

// runPeer starts a host whose clocks differ from the true time.
func runPeer(t *testing.T, etcd *kvtest.Etcd, name, boot string, offset, wall time.Duration) *peer {
	t.Helper()
	p := &peer{boot: boot}
	p.machine.boot, p.machine.wall = offset, wall
	p.node = run(t, etcd, name, newDisk(), p.use, func(cfg *cluster.Config) { cfg.Boot = boot })
	return p
}

// knows checks that p bounds the clock of each of others, within an uncertainty.
func (p *peer) knows(when string, uncertainty time.Duration, others ...*peer) {
	p.t.Helper()
	for _, o := range others {
		low, high, ok := p.Offset(o.boot)
		offset := p.machine.clock.Now().Sub(o.machine.clock.Now())
		if !ok || low > offset || offset > high || high-low > uncertainty {
			p.t.Errorf("%s: %s knows the clock of %s as %v to %v, %v, want %v within %v", when, p.boot, o.boot, low, high, ok, offset, uncertainty)
		}
	}
}

// TestPeers starts hosts with any clocks, one after the other. As soon as one is ready, it knows
// the clocks of all, and all know its clock.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var all []*peer
		for i, c := range []struct {
			boot         string
			offset, wall time.Duration
		}{
			{"x@a", 2 * time.Hour, 0},
			{"x@b", 3000 * time.Hour, -100 * time.Hour}, // with the same boot ID
			{"x@c", time.Second, time.Hour},
			{"y@d", 0, 10_000 * time.Hour},
		} {
			start := time.Now()
			p := runPeer(t, etcd, string(rune('a'+i)), c.boot, c.offset, c.wall)
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("%s is ready after %v", c.boot, took)
			}
			p.knows("ready", time.Second, all...)
			for _, other := range all {
				other.knows("another is ready", 20*time.Second, p)
			}
			all = append(all, p)
			time.Sleep(7 * time.Second)
		}
		time.Sleep(time.Minute)
		for range 3 {
			for i, p := range all {
				p.knows("later", 50*time.Millisecond, all[:i]...)
				p.knows("later", 50*time.Millisecond, all[i+1:]...)
			}
			all[1].set(0, 500*time.Hour) // wall clocks do not matter
			all[2].set(0, -500*time.Hour)
			time.Sleep(5 * time.Minute)
		}
	})
}

// TestManyPeers starts 20 hosts at once. None waits for all others' answers one by one, and none
// writes many more heartbeats than alone.
func TestManyPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		all := make([]*peer, 20)
		for i := range all {
			name := fmt.Sprint("web", i)
			p := &peer{boot: "x@" + name}
			p.machine.boot = time.Duration(i) * time.Hour
			p.node = begin(t, etcd, name, newDisk(), p.use, func(cfg *cluster.Config) { cfg.Boot = p.boot })
			all[i] = p
		}
		start := time.Now()
		for _, p := range all {
			if err := p.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.Host.Follow(p.node)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("ready after %v", took)
		}
		for i, p := range all {
			p.knows("ready", time.Second, all[:i]...)
			p.knows("ready", time.Second, all[i+1:]...)
		}
		time.Sleep(time.Minute)
		for i, p := range all {
			if s := p.Stats(); s.Members != 20 || s.Txns > 25 {
				t.Errorf("host %d: %d members, %d transactions in a minute", i, s.Members, s.Txns)
			}
		}
		for _, kv := range etcd.Keys("/tokend/n/web1") {
			if len(kv.Value) > 5000 {
				t.Errorf("a heartbeat has %d bytes", len(kv.Value))
			}
		}
	})
}

// TestPeersDelayed relates clocks while requests and watches are slow.
func TestPeersDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		for i, p := range []*peer{a, b} {
			var requests atomic.Int64
			p.client.Faults(func(kvtest.Request) kvtest.Fault {
				n := requests.Add(1)
				return kvtest.Fault{Delay: time.Duration(n%7) * 50 * time.Millisecond, Answer: time.Duration(n%5) * 70 * time.Millisecond}
			})
			p.client.Lag(time.Duration(i+1) * time.Second)
		}
		for range 100 {
			time.Sleep(20 * time.Second)
			a.knows("delayed", 5*time.Second, b)
			b.knows("delayed", 5*time.Second, a)
		}
	})
}

// TestClockStepped sets the clock of a host within a boot, as a resumed snapshot does. After the
// next heartbeats, all know it.
func TestClockStepped(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -3 * time.Second, time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
				time.Sleep(11*time.Minute + 3*time.Second)
				b.set(by, 0)
				time.Sleep(31 * time.Second)
				a.knows("stepped", 100*time.Millisecond, b)
				b.knows("stepped", 100*time.Millisecond, a)
				b.confirmed("stepped")
				if now := b.clock.Now(); b.Confirmed() > now {
					t.Errorf("confirmed at %v, now %v", b.Confirmed(), now)
				}
			})
		})
	}
}

// TestBootOfDeadHost starts a host after another has died. It knows the dead host's clock from the
// host that has met both.
func TestBootOfDeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		time.Sleep(time.Minute)
		b.crash()
		time.Sleep(30 * time.Minute)
		c := runPeer(t, etcd, "c", "y@c", time.Hour, 0)
		c.knows("ready", 10*time.Second, a, b)
		if _, _, ok := c.Offset("z@b"); ok {
			t.Error("a boot is known that nobody has met")
		}
	})
}

// TestFrozenPeer starts a host while another does not answer, but its session lasts. The host is
// ready all the same, and has asked the others.
func TestFrozenPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		time.Sleep(time.Minute)
		b.client.Freeze()
		start := time.Now()
		c := runPeer(t, etcd, "c", "y@c", time.Hour, 0)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("ready after %v", took)
		}
		c.knows("ready", time.Second, a)
		c.knows("ready", 10*time.Second, b)
		b.client.Thaw()
		time.Sleep(30 * time.Second)
		c.knows("later", time.Second, a, b)
		b.knows("later", time.Second, a, c)
	})
}

// TestSilentPeer starts a host while the watch of another is silent. It waits until that one has
// moved to another endpoint and answers: its wall clock may be wrong by any amount.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		b := runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		time.Sleep(time.Minute)
		b.client.MuteWatches()
		time.AfterFunc(10*time.Second, b.client.UnmuteWatches)
		c := runPeer(t, etcd, "c", "y@c", time.Hour, -time.Hour)
		c.knows("ready", 5*time.Second, b)
	})
}

// TestSilentPeerAfterOutage: a host serves what it had, because etcd was unreachable when it was
// started. Then the watch of its peer is silent, as after a restore. The host does not date what it
// has missed by its wall clock.
func TestSilentPeerAfterOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, -time.Hour), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		o := newOperator(t, etcd)
		time.Sleep(15 * time.Second)
		cut := func(cfg *cluster.Config) { cfg.Boot = "x@a"; etcd.Client(fmt.Sprint("a", runs)).Cut() }
		a.node = a.restart(etcd, "a", a.use, cut)
		o.put(credentialBy("x@b"))
		time.Sleep(6 * time.Second) // a heartbeat of the peer has just been written
		followed := 0
		a.node.mu.Lock()
		a.watch = func(r record.Record) {
			if r.Table == record.Credentials {
				a.knows("followed", 20*time.Second, b)
				followed++
			}
		}
		a.node.mu.Unlock()
		b.client.MuteWatches()
		time.AfterFunc(8*time.Second, b.client.UnmuteWatches)
		a.client.Heal()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if followed == 0 {
			t.Error("the value has not arrived")
		}
	})
}

// TestFrozenPeerAlone starts a host while the only other one does not answer. The host does not
// wait for it repeatedly.
func TestFrozenPeerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		b := runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		o := newOperator(t, etcd)
		time.Sleep(time.Minute)
		// Its session is extended, but no heartbeat arrives.
		b.client.Faults(func(r kvtest.Request) kvtest.Fault { return kvtest.Fault{Lost: r.Method == kvtest.Txn} })
		start := time.Now()
		c := runPeer(t, etcd, "c", "y@c", time.Hour, 0)
		if took := time.Since(start); took > 17*time.Second {
			t.Errorf("ready after %v", took)
		}
		for i := range 300 {
			o.put(credentialOf("c", fmt.Sprint("v", i), time.Now()))
			time.Sleep(time.Second)
			if got, want := c.value("c"), fmt.Sprint("v", i); string(got) != want {
				t.Fatalf("got %s a second after %s was stored", string(got), want)
			}
		}
		o.check("later", c.node)
		c.confirmed("later")
		if restarts := c.Stats().WatchRestarts; restarts > 2 {
			t.Errorf("the watch was restarted %d times", restarts)
		}
	})
}

// TestSessionRenewed ends a session for no reason. The host writes a heartbeat in the new one
// within a few seconds, and is a member again.
func TestSessionRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		time.Sleep(time.Minute)
		etcd.Expire("/tokend/m/b")
		synctest.Wait()
		if got := a.Stats().Members; got != 1 {
			t.Errorf("%d members after the end of a session", got)
		}
		time.Sleep(4 * time.Second)
		if got := a.Stats().Members; got != 2 {
			t.Errorf("%d members after the next session has begun", got)
		}
		if len(etcd.Keys("/tokend/n/b")) != 1 {
			t.Error("no heartbeat in the new session")
		}
		a.knows("in the new session", time.Second, b)
	})
}

// TestAloneWithoutEtcd restarts a host while etcd is unreachable. It is ready with what it has. A
// host that has nothing waits.
func TestAloneWithoutEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r1", 1))
		time.Sleep(time.Minute)
		etcd.StopQuorum()
		etcd.Stop("etcd1")
		start := time.Now()
		a = a.restart(etcd, "a")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("ready after %v", took)
		}
		b := begin(t, etcd, "b", newDisk())
		time.Sleep(time.Minute)
		if g := a.grant("g"); g.Value != "r1" || a.Stats().Connected || a.Confirmed() != 0 {
			t.Errorf("got %+v, %+v", g, a.Stats())
		}
		etcd.StartQuorum()
		o.put(grantOf("g", "r2", 2))
		time.Sleep(3 * time.Second)
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Host.Follow(b)
		synctest.Wait()
		o.wantGrant("with etcd", "g", "r2", a, b)
		a.confirmed("with etcd")
	})
}

// TestJoinedWhileAway starts a host while another has no session. That one knows its clock before
// it applies its records.
func TestJoinedWhileAway(t *testing.T) {
	for name, away := range map[string]struct{ begin, end func(*kvtest.Etcd, *peer) }{
		"frozen": {
			func(_ *kvtest.Etcd, a *peer) { a.client.Freeze(); time.Sleep(30 * time.Second) },
			func(_ *kvtest.Etcd, a *peer) { a.client.Thaw() },
		},
		"cut off": {
			func(_ *kvtest.Etcd, a *peer) { a.client.Cut(); time.Sleep(30 * time.Second) },
			func(_ *kvtest.Etcd, a *peer) { a.client.Heal() },
		},
		"ended by etcd": {
			func(etcd *kvtest.Etcd, _ *peer) { etcd.Expire("/tokend/m/a") },
			func(*kvtest.Etcd, *peer) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 { // which host writes first is left to the scheduler
				testJoinedWhileAway(t, away.begin, away.end)
			}
		})
	}
}

func testJoinedWhileAway(t *testing.T, begin, end func(*kvtest.Etcd, *peer)) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0)
		o := newOperator(t, etcd)
		time.Sleep(time.Minute)
		followed := 0
		b := &peer{boot: "x@b"}
		b.machine.boot = 9 * time.Hour
		a.node.mu.Lock()
		a.watch = func(r record.Record) {
			if r.Table == record.Credentials {
				a.knows("followed", 20*time.Second, b)
				followed++
			}
		}
		a.node.mu.Unlock()
		begin(etcd, a)
		b.node = run(t, etcd, "b", newDisk(), b.use, func(cfg *cluster.Config) { cfg.Boot = b.boot })
		o.put(grantOf("g", "r", 1))
		o.put(credentialBy("x@b"), grantOf("g", "r2", 2))
		o.put(grantOf("g", "r3", 3))
		end(etcd, a)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if followed == 0 {
			t.Error("the value has not arrived")
		}
		o.check("afterwards", a.node, b.node)
	})
}

// credentialBy returns a credential with times of a boot.
func credentialBy(boot string) record.Record {
	at := moment(time.Now())
	return record.Credential{Name: "c", Value: "v", Boot: boot, Issued: at, Seen: at, End: moment(time.Now().Add(time.Hour))}.Encode()
}
