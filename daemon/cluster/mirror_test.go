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

// TestMirror changes records of every table. Hosts that watch have the changes at once, a host that
// joins later has them when it is ready.
func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		now := time.Now()
		for i, recs := range [][]record.Record{
			{credentialOf("c1", "v1", now), grantOf("g1", "r1", 1), holdOf("c2", "h1"), budgetOf("b1", 1, now), codeOf("q1", "x1")},
			{credentialOf("c1", "v2", now), grantOf("g1", "r2", 2)},
			{deletionOf(record.Holds, "c2"), codeOf("q2", "x2")},
			{spentOf("q1"), holdOf("c2", "h2"), budgetOf("b1", 2, now)},
			{deletionOf(record.Codes, "q2"), deletionOf(record.Exchanged, "q1")},
			{spentOf("q3")},
		} {
			o.put(recs...)
			synctest.Wait()
			o.check(fmt.Sprint("change ", i), a, b)
		}
		c := run(t, etcd, "c", newDisk())
		o.check("the host that joined later", c)
		time.Sleep(time.Minute)
		for _, n := range []*node{a, b, c} {
			n.confirmed("a minute later")
			if s := n.Stats(); s.Members != 3 || s.Reloads != 1 || s.Moves != 0 || s.WatchRestarts != 0 {
				t.Errorf("got %+v", s)
			}
		}
	})
}

// TestLoadPages loads more keys than a page has, while they change.
func TestLoadPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		for i := range 35 {
			var recs []record.Record
			for j := range 100 {
				recs = append(recs, credentialOf(fmt.Sprintf("c%d.%d", i, j), "v1", time.Now()))
			}
			o.put(recs...)
		}
		b := begin(t, etcd, "b", newDisk())
		var requests atomic.Int64
		b.client.Faults(func(r kvtest.Request) kvtest.Fault {
			if r.Method == kvtest.Range && r.Range.Prefix == "/tokend/" {
				n := requests.Add(1)
				o.put(credentialOf(fmt.Sprintf("c%d.7", n), "v2", time.Now()), credentialOf(fmt.Sprint("d", n), "v1", time.Now()))
			}
			return kvtest.Fault{}
		})
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Host.Follow(b)
		synctest.Wait()
		if n := requests.Load(); n != 4 {
			t.Errorf("%d requests for the pages, want one for 1000 keys", n)
		}
		o.check("loaded", a, b)
	})
}

// TestWatchFaults disturbs the watch of a host while records change. Afterwards the host has
// everything, within 12 s.
func TestWatchFaults(t *testing.T) {
	const healed = 12 * time.Second
	for _, c := range []struct {
		name    string
		disturb func(*kvtest.Etcd, *node)
		end     func(*kvtest.Etcd, *node)
		reloads int64 // besides the first
	}{
		{"broken", func(_ *kvtest.Etcd, b *node) { b.client.BreakWatches() }, func(_ *kvtest.Etcd, b *node) { b.client.BreakWatches() }, 0},
		{"muted", func(_ *kvtest.Etcd, b *node) { b.client.MuteWatches() }, func(_ *kvtest.Etcd, b *node) { b.client.UnmuteWatches() }, 0},
		{"lagging", func(_ *kvtest.Etcd, b *node) { b.client.Lag(3 * time.Second) }, func(_ *kvtest.Etcd, b *node) { b.client.Lag(0) }, 0},
		{"lagging far", func(_ *kvtest.Etcd, b *node) { b.client.Lag(20 * time.Second) }, func(_ *kvtest.Etcd, b *node) { b.client.Lag(0) }, 0},
		{"compacted", func(_ *kvtest.Etcd, b *node) { b.client.MuteWatches() }, func(etcd *kvtest.Etcd, b *node) {
			if err := etcd.Compact(etcd.Revision()); err != nil {
				b.t.Fatal(err)
			}
			b.client.UnmuteWatches()
		}, 1},
		{"compacted to the next", func(_ *kvtest.Etcd, b *node) { b.client.MuteWatches() }, func(etcd *kvtest.Etcd, b *node) {
			if err := etcd.Compact(b.Stats().Revision + 1); err != nil {
				b.t.Fatal(err)
			}
			b.client.UnmuteWatches()
		}, 0},
		{"endpoint frozen", func(etcd *kvtest.Etcd, _ *node) { etcd.Freeze("etcd1") }, func(etcd *kvtest.Etcd, _ *node) { etcd.Start("etcd1") }, 0},
		{"endpoint stopped", func(etcd *kvtest.Etcd, _ *node) { etcd.Stop("etcd1") }, func(etcd *kvtest.Etcd, _ *node) { etcd.Start("etcd1") }, 0},
		{"quorum lost", func(etcd *kvtest.Etcd, _ *node) { etcd.StopQuorum() }, func(etcd *kvtest.Etcd, _ *node) { etcd.StartQuorum() }, 0},
		{"cut off", func(_ *kvtest.Etcd, b *node) { b.client.Cut() }, func(_ *kvtest.Etcd, b *node) { b.client.Heal() }, 1}, // in another session
		{"frozen", func(_ *kvtest.Etcd, b *node) { b.client.Freeze() }, func(_ *kvtest.Etcd, b *node) { b.client.Thaw() }, 1},
		{"disk full", func(_ *kvtest.Etcd, b *node) { b.disk.Fail(-1, errDisk) }, func(_ *kvtest.Etcd, b *node) { b.disk.Fail(0, nil) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				o.kv = etcd.Client("operator").Dial("etcd2")
				o.put(grantOf("g", "r1", 1), holdOf("c1", "h"))
				b.deaf = true // an engine repeats what its disk refuses
				time.Sleep(30 * time.Second)
				c.disturb(etcd, b)
				for i := range 300 {
					if c.name == "quorum lost" { // nothing changes
						time.Sleep(100 * time.Millisecond)
						continue
					}
					recs := []record.Record{credentialOf(fmt.Sprint("c", i%7), fmt.Sprint("v", i), time.Now()), grantOf("g", fmt.Sprint("r", i), uint64(i+2))}
					if i%3 == 0 {
						recs = append(recs, holdOf(fmt.Sprint("c", i%8), "h"), deletionOf(record.Holds, fmt.Sprint("c", (i+3)%8)))
					}
					o.put(recs...)
					time.Sleep(100 * time.Millisecond)
				}
				c.end(etcd, b)
				time.Sleep(healed)
				synctest.Wait()
				if c.name != "disk full" {
					o.check("afterwards", a, b)
				}
				b.confirmed("afterwards")
				if s := b.Stats(); s.Reloads != 1+c.reloads {
					t.Errorf("compared %d times, want %d", s.Reloads, 1+c.reloads)
				}
				o.put(credentialOf("c1", "at last", time.Now()))
				synctest.Wait()
				time.Sleep(time.Hour) // everything is compared again
				o.check("an hour later", a, b)
			})
		})
	}
}

// TestSilentWatch checks that a host looks for another endpoint if its heartbeat does not come
// back, although its requests are answered.
func TestSilentWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		time.Sleep(time.Minute)
		if moves := a.Stats().Moves; moves != 0 {
			t.Fatalf("moved %d times without a reason", moves)
		}
		a.client.MuteWatches()
		time.Sleep(16 * time.Second)
		if moves := a.Stats().Moves; moves == 0 || moves > 3 {
			t.Errorf("moved %d times within 16 s", moves)
		}
		if s := a.Stats(); s.ConfirmedAge < 15*time.Second {
			t.Errorf("contact %v ago", s.ConfirmedAge)
		}
		a.client.UnmuteWatches()
		synctest.Wait()
		a.confirmed("with a watch")
	})
}

// TestContinue restarts a host. It watches from where it was, and compares everything only if that
// is not possible.
func TestContinue(t *testing.T) {
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprint("compact ", compact), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				o.put(holdOf("c1", "h"), codeOf("q1", "x"), holdOf("c2", "h"))
				time.Sleep(time.Minute)
				for i := range 3 { // the stored position is behind the last two
					o.put(grantOf("g2", fmt.Sprint("r", i), uint64(i+1)))
					time.Sleep(time.Millisecond)
				}
				b.crash()
				time.Sleep(time.Minute)
				o.put(deletionOf(record.Holds, "c1"), deletionOf(record.Codes, "q1"), grantOf("g", "r", 1))
				time.Sleep(time.Minute)
				want := int64(0)
				if compact {
					if err := etcd.Compact(etcd.Revision()); err != nil {
						t.Fatal(err)
					}
					want = 1
				}
				b = b.restart(etcd, "b")
				time.Sleep(10 * time.Second)
				o.check("restarted", a, b)
				if got := b.Stats().Reloads; got != want {
					t.Errorf("compared %d times, want %d", got, want)
				}
			})
		})
	}
}

// TestForeignKeys writes keys that belong to no table. They are reported once and ignored.
func TestForeignKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a := run(t, etcd, "a", newDisk(), logTo(&log))
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r", 1))
		keys := []string{"/tokend/x/1", "/tokend/", "/tokend/c", "/tokend/cc/1", "/tokend//1", "/tokend/c/", "/tokend/m", "/tokend/m/a/b", "/tokend/n/a/b", "/tokend/l/", "/tokend/q/1/2"}
		synctest.Wait()
		before := a.copies()
		for range 3 {
			for _, key := range keys {
				o.raw(key, []byte("x"))
			}
			o.raw("/tokende/c/1", []byte("x")) // of another cluster
			time.Sleep(time.Hour)
		}
		for _, key := range keys {
			if got := log.count("[ERROR]", fmt.Sprintf("key=%s ", key)); got != 1 {
				t.Errorf("%s: reported %d times", key, got)
			}
		}
		if got := a.Stats().Members; got != 1 {
			t.Errorf("got %d members", got)
		}
		if log.count("/tokende") != 0 {
			t.Error("a key of another cluster is reported")
		}
		if got := a.copies(); fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("got %v, want %v", got, before)
		}
		for _, key := range keys {
			o.do(cluster.Op{Verb: cluster.Delete, Key: key})
		}
		synctest.Wait()
		a.confirmed("afterwards")
	})
}

// TestDiskFullAtStart starts a host whose disk refuses writes at first. Nothing counts as applied
// that is not stored.
func TestDiskFullAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		b := run(t, etcd, "b", newDisk())
		b.crash()
		for i := range 200 {
			o.put(grantOf(fmt.Sprint("g", i), "r", 1))
			if i == 10 { // a heartbeat
				o.do(cluster.Op{Verb: cluster.Put, Key: "/tokend/n/c", Value: []byte("x")})
			}
		}
		b.disk.crashed = false
		b.disk.Fail(-1, errDisk)
		b = begin(t, etcd, "b", b.disk)
		for range 20 {
			o.put(grantOf("g", "r", 1))
			time.Sleep(time.Second)
		}
		b.disk.Fail(0, nil)
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Host.Follow(b)
		synctest.Wait()
		o.check("with space", a, b)
	})
}

// TestRefusedReadAgain: a record that the disk has refused is read again after a restart, although
// the disk has taken later ones.
func TestRefusedReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(credentialOf("c", "v1", time.Now()), grantOf("g", "r1", 1))
		b.deaf = true
		time.Sleep(time.Minute)
		b.disk.Fail(-1, errDisk)
		o.put(credentialOf("c", "v2", time.Now()), grantOf("g", "r2", 2))
		time.Sleep(10 * time.Second)
		b.disk.Fail(0, nil)
		for range 10 {
			o.put(credentialOf("d", "v", time.Now()))
			time.Sleep(time.Second)
		}
		b = b.restart(etcd, "b")
		time.Sleep(time.Second)
		synctest.Wait()
		o.check("restarted", a, b)
	})
}
