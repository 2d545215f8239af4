package cluster_test

import (
	"bytes"
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

// damages are values that no host has written, in place of a good one.
func (o *operator) damages(key string, good []byte) map[string][]byte {
	other := newSealer(o.t, secret.Text(strings.Repeat("z", 32)))
	all := map[string][]byte{
		"empty":        {},
		"moved":        o.sealer.Seal("/tokend/g/other", "g", grantOf("g", "evil", 9).Value),
		"other table":  o.sealer.Seal(strings.Replace(key, "/g/", "/c/", 1), "g", grantOf("g", "evil", 9).Value),
		"other secret": other.Seal(key, "g", grantOf("g", "evil", 9).Value),
		"other name":   o.sealer.Seal(key, "other", grantOf("other", "evil", 9).Value),
	}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1 << (i % 8)
		all[fmt.Sprint("flipped at ", i)] = flipped
		all[fmt.Sprint("truncated to ", i)] = good[:i]
	}
	return all
}

// TestDamagedValue puts values in the place of a grant that no host has written. None is applied,
// each is reported, and the grant is put back, except over a format that a newer version may know.
func TestDamagedValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a, b := run(t, etcd, "a", newDisk(), logTo(&log)), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		o.put(grantOf("g", "r1", 1), grantOf("absent", "r1", 1))
		synctest.Wait()
		key := o.key(record.Grants, "g")
		for name, value := range o.damages(key, o.value(record.Grants, "g")) {
			log.mu.Lock()
			log.text.Reset()
			log.mu.Unlock()
			o.raw(key, value)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := log.count("[ERROR]", "a value in etcd is ignored", key); n != 1 {
				t.Errorf("%s: reported %d times:\n%s", name, n, log.String())
			}
			if got := a.grant("g"); got.Value != "r1" {
				t.Fatalf("%s: applied", name)
			}
			if len(value) > 0 && value[0] != 1 {
				if got := o.value(record.Grants, "g"); !bytes.Equal(got, value) {
					t.Errorf("%s: an unknown format was overwritten", name)
				}
				o.put(grantOf("g", "r1", 1))
				synctest.Wait()
			}
			o.wantGrant(name, "g", "r1", a, b)
		}
	})
}

// TestNewerVersion stores records that only a newer version can read. They are reported once,
// neither applied nor overwritten, and a newer host is not disturbed.
func TestNewerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a := run(t, etcd, "a", newDisk(), logTo(&log))
		o := newOperator(t, etcd)
		now := time.Now()
		recs := []record.Record{credentialOf("c", "v", now), grantOf("g", "r", 1), holdOf("h", "x"), budgetOf("b", 1, now), codeOf("q", "x"), spentOf("s")}
		o.put(recs...)
		synctest.Wait()
		want := fmt.Sprint(a.copies())
		var stored [][]byte
		for _, r := range recs {
			r.Value[0] += 100
			o.put(r)
			stored = append(stored, o.value(r.Table, r.Key))
		}
		time.Sleep(3 * time.Hour)
		if got := fmt.Sprint(a.copies()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for i, r := range recs {
			if !bytes.Equal(o.value(r.Table, r.Key), stored[i]) {
				t.Errorf("%s: overwritten", r.Table)
			}
			if n := log.count("[ERROR]", "newer tokend", o.key(r.Table, r.Key)); n != 1 {
				t.Errorf("%s: reported %d times", r.Table, n)
			}
		}
	})
}

// TestDamagedEverywhere damages a value of every table. The host continues with what it has.
func TestDamagedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		var log logbook
		a, b := run(t, etcd, "a", newDisk(), logTo(&log)), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		now := time.Now()
		recs := []record.Record{credentialOf("c", "v", now), grantOf("g", "r", 1), holdOf("h", "x"), budgetOf("b", 1, now), codeOf("q", "x"), spentOf("s")}
		o.put(recs...)
		synctest.Wait()
		want := a.copies()
		for _, r := range recs {
			o.raw(o.key(r.Table, r.Key), []byte{1, 2, 3})
		}
		o.raw("/tokend/m/b", []byte{1, 2, 3})
		o.raw("/tokend/n/b", []byte{1, 2, 3})
		o.raw("/tokend/l/b", []byte{1, 2, 3})
		o.raw("/tokend/n/evil", []byte{1, 2, 3})
		time.Sleep(5 * time.Second)
		for k := range want {
			if table, name, _ := strings.Cut(k, " "); o.value(record.Table(table), name) == nil {
				t.Errorf("%s is gone", k)
			}
		}
		got := a.copies()
		for k, v := range want {
			if before, _, _ := strings.Cut(v, " "); !strings.HasPrefix(got[k], before+" ") {
				t.Errorf("%s: got %.40q, want %.40q", k, got[k], v)
			}
		}
		if n := log.count("[ERROR]", "a value in etcd is ignored"); n != 9 && n != 10 {
			t.Errorf("%d reports:\n%s", n, log.String())
		}
		o.do(cluster.Op{Verb: cluster.Delete, Key: "/tokend/n/evil"}, cluster.Op{Verb: cluster.Delete, Key: "/tokend/l/b"})
		time.Sleep(time.Minute)
		a.confirmed("afterwards")
		b.confirmed("afterwards")
	})
}

// TestDamagedClaim: somebody may have called under a claim that nobody can read. The next call
// replaces it.
func TestDamagedClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		o := newOperator(t, etcd)
		o.raw(o.key(record.Claims, token), []byte{1, 2, 3})
		time.Sleep(time.Second)
		c, err := b.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Land(t.Context(), b.answer("t1", "r2")...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := len(etcd.Keys("/tokend/l/")); n != 0 || a.value(token) != "t1" {
			t.Errorf("%d claims are left, and a has %q", n, []byte(a.value(token)))
		}
	})
}

// TestUnreadableNotClaimed: a call that depends on a record which only a newer version can read is
// not made, and etcd is asked a few times only.
func TestUnreadableNotClaimed(t *testing.T) {
	for _, table := range []record.Table{record.Credentials, record.Claims} {
		t.Run(string(table), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk())
				a.give("r1")
				o := newOperator(t, etcd)
				o.raw(o.key(table, token), append([]byte{200}, make([]byte, 64)...))
				time.Sleep(time.Second)
				ended := make(chan error, 1)
				go func() { _, err := a.claim(rotating); ended <- err }()
				select {
				case err := <-ended:
					if !errors.Is(err, refresh.ErrApart) {
						t.Errorf("got %v", err)
					}
				case <-time.After(5 * time.Second):
					t.Error("the host asks for ever")
					o.do(cluster.Op{Verb: cluster.Delete, Key: o.key(table, token)})
					<-ended
				}
			})
		})
	}
}

// TestUnreadableGrant: a host cannot read its copy of a grant. What etcd has replaces the copy, but
// not after a restore of etcd: then the copy may be the only newer one.
func TestUnreadableGrant(t *testing.T) {
	for _, restored := range []bool{false, true} {
		t.Run(fmt.Sprint("restored ", restored), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd, d := kvtest.New(), newDisk()
				a, o := run(t, etcd, "a", d), newOperator(t, etcd)
				o.put(grantOf("g", "r1", 1))
				time.Sleep(time.Minute)
				backup := etcd.Backup()
				o.put(grantOf("g", "r2", 2))
				time.Sleep(time.Minute)
				d.spoil("g")
				want := secret.Text("r2")
				if restored {
					etcd.Restore(backup, true)
				} else {
					want = "r3"
					o.put(grantOf("g", "r3", 3))
				}
				time.Sleep(time.Minute)
				d.spoil("")
				time.Sleep(2 * time.Hour)
				o.wantGrant("later", "g", want, a)
			})
		})
	}
}

// TestClaimBesideDamage: a record that a claim depends on is damaged in etcd, and nobody has a copy
// that is worth being put back. The credential is fetched again soon.
func TestClaimBesideDamage(t *testing.T) {
	now := func() time.Time { return time.Now() }
	for name, tc := range map[string]struct {
		table record.Table
		key   string
		copy  func() record.Record // that all hosts have; nil for none
	}{
		"hold":               {record.Holds, token, nil},
		"hold with a copy":   {record.Holds, token, func() record.Record { return holdOf(token, "x") }},
		"value":              {record.Credentials, token, nil},
		"value that is over": {record.Credentials, token, func() record.Record { return credentialOf(token, "old", now().Add(-3*time.Hour)) }},
		"budget":             {record.Budgets, "b", nil},
		"budget of long ago": {record.Budgets, "b", func() record.Record { return budgetOf("b", 1, now().Add(-72*time.Hour)) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				a.give("r1")
				o := newOperator(t, etcd)
				if tc.copy != nil {
					o.put(tc.copy())
				}
				time.Sleep(time.Second)
				o.raw(o.key(tc.table, tc.key), []byte{1, 2, 3})
				time.Sleep(2 * time.Minute)
				c, err := b.claim(rotating, budgetOf("b", 1, now()))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Land(t.Context(), b.answer("t1", "r2")...); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if a.value(token) != "t1" || a.grant(grant).Value != "r2" {
					t.Error("the answer has not landed")
				}
			})
		})
	}
}
