package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// TestRestoreUnnoticed restores etcd to a recent backup, and others write so much at once that no
// revision shows it. What a host has written last shows it with the next heartbeat. To a host that
// had no contact, the end of its session shows it.
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
				o.advance(50)
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

// TestRestoreMet restores etcd after a write whose answer was lost, before any heartbeat. No host
// knows of a write of its own that is gone, and the revision is higher again. The first transaction
// about the record shows it.
func TestRestoreMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		a.give("r1")
		time.Sleep(15 * time.Second)
		backup := etcd.Backup()
		o.put(grantOf(grant, "r2", 2)) // by neither of the two, as far as they know
		synctest.Wait()
		etcd.Restore(backup, false)
		o.advance(20)
		var err error
		for range 3 {
			g := record.Grant{Name: grant, Generation: record.Generation{Value: "r3", At: time.Now(), Source: "put"}}
			if err = b.Store().Put(t.Context(), g.Encode()); err == nil {
				break
			}
			time.Sleep(time.Second)
		}
		if err != nil {
			t.Errorf("three seconds later: %v", err)
		}
		synctest.Wait()
		o.wantGrant("restored", grant, "r3", a, b)
	})
}

// TestRestoreMetByClaim restores etcd to a claim of before. The next claim shows it.
func TestRestoreMetByClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		a.give("r1")
		rotated := refresh.Want{Table: record.Credentials, Name: token, Grant: grant, Rotates: true}
		doubt := func(n *node) {
			t.Helper()
			c, err := n.claim(rotated)
			if err == nil {
				err = c.Give(t.Context(), true)
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		doubt(a)
		time.Sleep(15 * time.Second)
		backup := etcd.Backup()
		doubt(b)
		etcd.Restore(backup, false)
		o.advance(20)
		err := error(refresh.ErrRenewed)
		for i := 0; err != nil && i < 4; i++ {
			var c refresh.Claim
			if c, err = a.Claim(t.Context(), rotated); err == nil {
				err = c.Land(t.Context(), a.answer("v", "r2")...)
			}
			time.Sleep(time.Second)
		}
		if err != nil {
			t.Errorf("four seconds later: %v", err)
		}
	})
}

// TestRestoreTold restores etcd while only one host can notice it: the others have lost nothing
// that they wrote. It tells them, because they have missed what was changed at revisions that they
// had reached before.
func TestRestoreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b, c := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk()), run(t, etcd, "c", newDisk())
		o := newOperator(t, etcd)
		a.give("r1")
		o.put(credentialOf("missed", "v1", time.Now()))
		time.Sleep(15 * time.Second)
		backup := etcd.Backup()
		for i := range 5 {
			a.give(secret.Text(fmt.Sprint("r", i+2)))
		}
		synctest.Wait()
		etcd.Restore(backup, false)
		time.Sleep(time.Second)
		o.put(credentialOf("missed", "v2", time.Now()))
		o.advance(20)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		o.wantGrant("restored", grant, "r6", a, b, c)
		o.check("restored", a, b, c)
		for _, n := range []*node{a, b, c} {
			loads := n.Stats().Reloads
			if time.Sleep(5 * time.Minute); n.Stats().Reloads != loads {
				t.Error("hosts tell each other of the same restore repeatedly")
			}
		}
	})
}

// TestOlderTicketAfterRestore restores etcd, and a host that has not seen the newest ticket stores
// an older one before any other host notices. The newest ticket comes back, unless its stamp was in
// the future.
func TestOlderTicketAfterRestore(t *testing.T) {
	ticket := func(value string, stamp time.Time) record.Record {
		return record.Credential{
			Name: "ticket", Value: secret.Text(value), Boot: "unknown", Issued: moment(time.Now()), Seen: moment(time.Now()),
			End: moment(time.Now().Add(12 * time.Hour)), Life: 12 * time.Hour, Stamp: stamp,
		}.Encode()
	}
	for ahead, want := range map[time.Duration]string{time.Second: "newest", time.Hour: "older"} {
		t.Run(fmt.Sprint(ahead, " ahead"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				at := time.Now()
				o.put(ticket("first", at.Add(-time.Hour)))
				time.Sleep(15 * time.Second)
				backup := etcd.Backup()
				o.put(ticket("newest", at.Add(ahead)))
				synctest.Wait()
				etcd.Restore(backup, false)
				o.put(credentialOf("other", "v", time.Now()))
				o.put(ticket("older", at))
				time.Sleep(30 * time.Second)
				synctest.Wait()
				for i, n := range []*node{a, b} {
					if v := n.value("ticket"); string(v) != want {
						t.Errorf("host %d has %s, want %s", i, string(v), want)
					}
					if n.copies()["credential ticket"] != o.stored()["credential ticket"] {
						t.Errorf("host %d has something else than etcd", i)
					}
				}
			})
		})
	}
}

// TestRestoreToldOnce ends the session of a host long after it has noticed a restore. When it is
// back, its heartbeats are no news of the restore.
func TestRestoreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(15 * time.Second)
		backup := etcd.Backup()
		a.give("r2")
		synctest.Wait()
		etcd.Restore(backup, false)
		time.Sleep(30 * time.Minute)
		loads := b.Stats().Reloads
		for range 3 {
			etcd.Expire("/tokend/m/a")
			time.Sleep(2 * time.Minute)
		}
		if n := b.Stats().Reloads - loads; n != 0 {
			t.Errorf("compared %d times", n)
		}
		newOperator(t, etcd).check("afterwards", a, b)
	})
}
