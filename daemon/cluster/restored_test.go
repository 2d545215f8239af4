package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestRestored restores etcd from a backup of an hour ago. The hosts put back what they have, and
// continue.
func TestRestored(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		t.Run(fmt.Sprint("renamed ", renamed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				var log logbook
				a, b := run(t, etcd, "a", newDisk(), logTo(&log)), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				before := time.Now()
				o.put(grantOf("same", "r1", 1), grantOf("rotated", "r1", 1), grantOf("gone", "r1", 1),
					credentialOf("same", "v1", before), credentialOf("fetched", "v1", before),
					holdOf("held", "old"), holdOf("ended", "old"), budgetOf("counted", 5, before), budgetOf("same", 5, before),
					codeOf("settled", "x"), codeOf("waiting", "x"))
				time.Sleep(time.Minute)
				backup := etcd.Backup()
				time.Sleep(time.Hour)
				now := time.Now()
				o.put(rotated("rotated", 2), grantOf("new", "r1", 1), credentialOf("fetched", "v2", now), credentialOf("new", "v1", now),
					holdOf("held", "new"), holdOf("new", "new"), deletionOf(record.Holds, "ended"),
					budgetOf("counted", 6, now), budgetOf("new", 1, now), spentOf("settled"), codeOf("new", "x"))
				o.put(rotated("rotated", 3))
				synctest.Wait()
				o.check("before the restore", a, b)
				want := o.stored()
				etcd.Restore(backup, renamed)
				time.Sleep(30 * time.Second)
				synctest.Wait()
				o.check("after the restore", a, b)
				// Holds are etcd's.
				delete(want, "hold new")
				got := o.stored()
				for _, k := range []string{"hold ended", "hold held"} {
					if got[k] == "" {
						t.Errorf("%s was not taken from etcd", k)
					}
					delete(want, k)
					delete(got, k)
				}
				for k := range want {
					value := func(m map[string]string) string { v, _, _ := strings.Cut(m[k], " "); return v }
					if value(got) != value(want) {
						t.Errorf("%s: got %q, want %q", k, value(got), value(want))
					}
					delete(got, k)
				}
				if len(got) > 0 {
					t.Errorf("etcd has also %v", got)
				}
				if log.count("[ERROR]", "etcd was restored from a backup") != 1 || log.count("[ERROR]", "put back in etcd", "name=rotated") > 1 {
					t.Errorf("logged:\n%s", log.String())
				}
				for i, n := range []*node{a, b} {
					n.confirmed("after the restore")
					if err := n.Store().Put(t.Context(), grantOf("rotated", fmt.Sprint("r", i+4), 0)); err != nil {
						t.Errorf("host %d cannot store a grant: %v", i, err)
					}
					synctest.Wait()
					o.wantGrant("stored after the restore", "rotated", secret.Text(fmt.Sprint("r", i+4)), a, b)
				}
				time.Sleep(2 * time.Hour)
				o.check("hours later", a, b)
				if strings.Count(log.String(), "[ERROR]") > 10 {
					t.Errorf("logged:\n%s", log.String())
				}
			})
		})
	}
}

// TestRestoredWhileStopped restores etcd while a host is stopped, which has the only copy of a
// grant.
func TestRestoredWhileStopped(t *testing.T) {
	for _, advanced := range []bool{false, true} {
		t.Run(fmt.Sprint("advanced ", advanced), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				o.put(grantOf("g", "r1", 1))
				time.Sleep(time.Minute)
				backup := etcd.Backup()
				a.crash() // its disk is lost
				time.Sleep(time.Minute)
				o.put(grantOf("g", "r2", 2), grantOf("new", "r1", 1))
				synctest.Wait()
				b.crash()
				revision := etcd.Revision()
				etcd.Restore(backup, false)
				a = run(t, etcd, "a", newDisk())
				if advanced {
					for etcd.Revision() <= revision {
						o.put(credentialOf("c", fmt.Sprint(etcd.Revision()), time.Now()))
					}
				}
				b = b.restart(etcd, "b")
				time.Sleep(10 * time.Second)
				time.Sleep(time.Minute) // nothing but the contents may tell
				o.wantGrant("afterwards", "g", "r2", a, b)
				o.wantGrant("afterwards", "new", "r1", a, b)
			})
		})
	}
}

// TestRestoreNoticed makes a change right after a restore. The answer shows the restore, and what
// was deleted since the backup is there again, although the watch has not confirmed the deletion.
func TestRestoreNoticed(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		t.Run(fmt.Sprint("renamed ", renamed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				o := newOperator(t, etcd)
				o.put(grantOf("g", "r1", 1), codeOf("q", "x"))
				time.Sleep(time.Minute)
				backup := etcd.Backup()
				time.Sleep(time.Minute)
				o.put(grantOf("g", "r2", 2))
				synctest.Wait()
				a.client.MuteWatches()
				if err := a.Store().Put(t.Context(), deletionOf(record.Codes, "q")); err != nil {
					t.Fatal(err)
				}
				etcd.Restore(backup, renamed)
				if err := a.Store().Put(t.Context(), grantOf("g2", "r1", 0)); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
				if got := a.Stats().Reloads; got != 2 {
					t.Errorf("compared %d times", got)
				}
				a.client.UnmuteWatches()
				synctest.Wait()
				o.wantGrant("noticed", "g", "r2", a)
			})
		})
	}
}

// TestRestoreOfOneChange restores etcd to before the last change, and a host makes another. It gets
// the revision that the lost one had, which shows the restore.
func TestRestoreOfOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r1", 1))
		time.Sleep(time.Second)
		backup := etcd.Backup()
		o.put(grantOf("g", "r2", 2))
		synctest.Wait()
		etcd.Restore(backup, false)
		if err := a.Store().Put(t.Context(), grantOf("g2", "r1", 0)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		o.wantGrant("noticed", "g", "r2", a)
	})
}

// TestRestoredTwice lets two hosts put back the same records. The second finds those of the first,
// and follows what is stored later.
func TestRestoredTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(rotated("old", 1), credentialOf("old", "v1", time.Now()))
		time.Sleep(time.Second)
		backup := etcd.Backup()
		time.Sleep(time.Hour)
		now := time.Now()
		o.put(rotated("old", 2), credentialOf("old", "v2", now), grantOf("new", "r1", 1), credentialOf("new", "v1", now), codeOf("new", "x"), budgetOf("new", 1, now))
		synctest.Wait()
		b.client.Faults(func(r kvtest.Request) kvtest.Fault {
			if r.Method == kvtest.Txn && r.Txn.If[0].Key != "/tokend/m/b" {
				return kvtest.Fault{Delay: 100 * time.Millisecond}
			}
			return kvtest.Fault{}
		})
		etcd.Restore(backup, true)
		a.client.BreakWatches() // both notice it now
		b.client.BreakWatches()
		time.Sleep(time.Minute)
		o.check("afterwards", a, b)
		o.put(rotated("old", 3), credentialOf("old", "v3", now), grantOf("new", "r2", 2), credentialOf("new", "v2", now), spentOf("new"), budgetOf("new", 2, now))
		synctest.Wait()
		o.check("later", a, b)
	})
}

// TestEmptyEtcd replaces etcd by an empty one. The hosts put back all that they have, so that
// another host can join.
func TestEmptyEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		empty := etcd.Backup()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(time.Minute)
		etcd.Restore(empty, true)
		time.Sleep(time.Minute)
		o := newOperator(t, etcd)
		c := run(t, etcd, "c", newDisk())
		o.wantGrant("with an empty etcd", grant, "r1", a, b, c)
		b = b.restart(etcd, "b")
		o.wantGrant("restarted", grant, "r1", b)
	})
}

// TestEmptyEtcdAtStart replaces etcd by an empty one while all hosts are stopped. The first that
// starts puts the cluster's root and all records back.
func TestEmptyEtcdAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		empty := etcd.Backup()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(time.Minute)
		a.crash()
		b.crash()
		etcd.Restore(empty, true)
		b = b.restart(etcd, "b")
		a = a.restart(etcd, "a")
		c := run(t, etcd, "c", newDisk())
		newOperator(t, etcd).wantGrant("restarted", grant, "r1", a, b, c)
	})
}

// TestRestoredFull restores etcd, which refuses puts at first. Nothing is lost.
func TestRestoredFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a := run(t, etcd, "a", newDisk(), logTo(&log))
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r1", 1), credentialOf("c", "v1", time.Now()))
		time.Sleep(time.Minute)
		backup := etcd.Backup()
		time.Sleep(time.Minute)
		o.put(grantOf("g", "r2", 2), grantOf("new", "r1", 1), credentialOf("c", "v2", time.Now()))
		synctest.Wait()
		etcd.Restore(backup, true)
		etcd.Fill()
		time.Sleep(10 * time.Minute)
		for _, name := range []string{"g", "new"} {
			if g := a.grant(name); g.Value != map[string]secret.Text{"g": "r2", "new": "r1"}[name] {
				t.Errorf("%s: lost while etcd is full", name)
			}
		}
		if log.count("[ERROR]", "etcd was restored") != 1 || log.count("[ERROR]", "space exceeded") == 0 {
			t.Errorf("logged:\n%s", log.String())
		}
		etcd.Free()
		time.Sleep(time.Minute)
		o.wantGrant("with space", "g", "r2", a)
		o.wantGrant("with space", "new", "r1", a)
		if a.value("c") != "v2" {
			t.Errorf("got the value %s", string(a.value("c")))
		}
	})
}

// TestManyRestored puts back more than a transaction can have, while other hosts do the same.
func TestManyRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var nodes []*node
		for _, name := range []string{"a", "b", "c"} {
			nodes = append(nodes, run(t, etcd, name, newDisk()))
		}
		o := newOperator(t, etcd)
		backup := etcd.Backup()
		long := strings.Repeat("r", 40_000)
		for i := range 30 {
			var recs []record.Record
			for j := range 20 {
				recs = append(recs, grantOf(fmt.Sprint("g", i, ".", j), long, 1))
			}
			o.put(recs...)
		}
		synctest.Wait()
		etcd.Restore(backup, true)
		time.Sleep(time.Minute)
		if n := len(o.stored()); n != 600 {
			t.Errorf("etcd has %d grants", n)
		}
		o.check("afterwards", nodes...)
	})
}

// rotated returns a grant whose value has changed until it is r and its number.
func rotated(name string, number int) record.Record {
	g, err := record.DecodeGrant(grantOf(name, "r1", 1))
	if err != nil {
		panic(err) // it was just encoded
	}
	for n := 2; n <= number; n++ {
		at := time.Date(2000, 1, 1, 0, 0, n, 0, time.UTC)
		g.Replace(record.Generation{Value: secret.Text(fmt.Sprint("r", n)), At: at, Source: "rotation"})
		g.Number++
	}
	return g.Encode()
}

// TestAnswerAfterRestoreKept restores etcd, and a host that has missed the last rotations fetches
// with the grant of the backup, which WeChat still accepts. The grant of that answer may be
// WeChat's newest. It is kept behind the grant that is put back.
func TestAnswerAfterRestoreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(rotated("g", 1))
		time.Sleep(time.Minute)
		backup := etcd.Backup()
		o.put(rotated("g", 2))
		o.put(rotated("g", 3))
		synctest.Wait()
		etcd.Restore(backup, true)
		g, err := record.DecodeGrant(rotated("g", 1))
		if err != nil {
			t.Fatal(err)
		}
		g.Replace(record.Generation{Value: "answer", At: time.Now(), Source: "rotation"})
		g.Number++
		o.put(g.Encode())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		o.check("restored", a, b)
		if g := b.grant("g"); g.Value != "r3" || len(g.Earlier) == 0 || g.Earlier[0].Value != "answer" || g.Earlier[0].Source != record.FromOffer {
			t.Errorf("got %+v", g)
		}
	})
}
