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
				o.put(grantOf("rotated", "r2", 2), grantOf("new", "r1", 1), credentialOf("fetched", "v2", now), credentialOf("new", "v1", now),
					holdOf("held", "new"), holdOf("new", "new"), deletionOf(record.Holds, "ended"),
					budgetOf("counted", 6, now), budgetOf("new", 1, now), spentOf("settled"), codeOf("new", "x"))
				o.put(grantOf("rotated", "r3", 3))
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

// TestRestoredTwice lets two hosts put back the same records. The second one finds those of the first,
// and follows what is stored later.
func TestRestoredTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(grantOf("old", "r1", 1), credentialOf("old", "v1", time.Now()))
		time.Sleep(time.Second)
		backup := etcd.Backup()
		time.Sleep(time.Hour)
		now := time.Now()
		o.put(grantOf("old", "r2", 2), credentialOf("old", "v2", now), grantOf("new", "r1", 1), credentialOf("new", "v1", now), codeOf("new", "x"), budgetOf("new", 1, now))
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
		o.put(grantOf("old", "r3", 3), credentialOf("old", "v3", now), grantOf("new", "r2", 2), credentialOf("new", "v2", now), spentOf("new"), budgetOf("new", 2, now))
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
				time.Sleep(time.Minute)
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

// TestRestoreUnnoticed restores etcd to a recent backup, and others write so much at once that no
// revision shows it. What a host has written last shows it with the next heartbeat, and to a host
// that was away the end of its session.
func TestRestoreUnnoticed(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("away ", away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				a.give("r1")
				time.Sleep(15 * time.Second)
				backup := etcd.Backup()
				a.give("r2")
				synctest.Wait()
				if away {
					b.client.Cut()
				}
				etcd.Restore(backup, false)
				for i := range 50 {
					o.put(credentialOf("other", fmt.Sprint(i), time.Now()))
				}
				time.Sleep(30 * time.Second)
				b.client.Heal()
				time.Sleep(30 * time.Second)
				synctest.Wait()
				o.wantGrant("restored", grant, "r2", a, b)
				o.check("restored", a, b)
			})
		})
	}
}
