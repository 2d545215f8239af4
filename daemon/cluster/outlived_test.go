package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestOutlivedCodes leaves a code in etcd, and what another was exchanged for, which no host
// deletes. They are deleted when they have not changed for a day, and not before.
func TestOutlivedCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		o.put(codeOf("code", "v"), spentOf("spent"))
		time.Sleep(30 * time.Hour)
		o.put(codeOf("later", "w"))
		time.Sleep(2 * time.Hour)
		backup := etcd.Backup()
		time.Sleep(18 * time.Hour)
		if left := len(etcd.Keys("/tokend/q/")); left != 1 {
			t.Errorf("%d are left after 50 hours, want the one of 20 hours ago", left)
		}
		etcd.Restore(backup, true)
		time.Sleep(20 * time.Hour)
		if o.value(record.Codes, "later") == nil {
			t.Error("a day has not passed since the restore, and the code has been deleted")
		}
		o.check("afterwards", a)
	})
}

// TestCodeAfterOldBackup restores etcd from a backup of more than a day ago, and a code is accepted
// before a host compares. Before the restore, nothing had changed at its revision for a day.
func TestCodeAfterOldBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		backup := etcd.Backup()
		for i := range 100 {
			o.put(grantOf("g", "r1", 1+uint64(i)))
		}
		a.stop()
		<-a.done
		b := run(t, etcd, "b", newDisk())
		time.Sleep(26 * time.Hour)
		etcd.Restore(backup, true)
		o.put(codeOf("new", "v"))
		time.Sleep(time.Minute)
		if o.value(record.Codes, "new") == nil {
			t.Error("the code has been deleted")
		}
		o.check("afterwards", b)
	})
}

// TestCodeOfWrongClock: a host whose wall clock is days behind has accepted a code, and is killed.
// By the dates in its record the code has expired. No peer deletes it: by the clock of the boot,
// which has not ended, the code has two hours to live.
func TestCodeOfWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		now := record.Moment{Wall: time.Now().Add(-48 * time.Hour), Since: time.Hour}
		until := record.Moment{Wall: now.Wall.Add(2 * time.Hour), Since: now.Since + 2*time.Hour}
		code := record.Code{Owner: "open_platform/wxp", Value: secret.Text("v"), At: time.Now(), Boot: "boot@b", Until: until, Next: now}
		if err := b.Store().Put(t.Context(), code.Encode("code")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		b.crash()
		a.crash()
		time.Sleep(20 * time.Second) // both sessions are over
		a = a.restart(etcd, "a")
		time.Sleep(75 * time.Second)
		b = b.restart(etcd, "b")
		time.Sleep(2 * time.Minute)
		if r, err := b.Store().Get(record.Codes, "code"); err != nil || r.Value == nil || o.value(record.Codes, "code") == nil {
			t.Errorf("the host has the code: %v, %v, etcd: %v", r.Value != nil, err, o.value(record.Codes, "code") != nil)
		}
		o.check("afterwards", a, b)
	})
}

// TestCodeBackAfterRestore: a backup has a code that was exchanged soon after, and is restored when
// nobody remembers the exchange any more. A host has the code then, and no longer both.
func TestCodeBackAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		if err := a.Store().Put(t.Context(), codeOf("old", "v")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		backup := etcd.Backup()
		o.put(spentOf("old"))
		time.Sleep(2 * time.Hour)
		etcd.Restore(backup, true)
		time.Sleep(2 * time.Minute)
		for _, n := range []*node{a, b} {
			code, err := n.Store().Get(record.Codes, "old")
			spent, err2 := n.Store().Get(record.Exchanged, "old")
			if err != nil || err2 != nil || code.Value == nil || spent.Value != nil {
				t.Errorf("code %v, %v; exchanged %v, %v", code.Value != nil, err, spent.Value != nil, err2)
			}
		}
	})
}
