package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestWorseTimesNotShared repeats a value that etcd has, on a host that knows less of its times
// than etcd: it took them from its wall clock, or had lost the value. The other hosts keep theirs,
// and a comparison with etcd gives the host its own back.
func TestWorseTimesNotShared(t *testing.T) {
	polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
	value := func(text string, change func(c *record.Credential)) record.Record {
		c, err := record.DecodeCredential(credentialOf(polled.Name, text, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		c.Boot = "boot@a"
		change(&c)
		return c.Encode()
	}
	longer := func(c *record.Credential) { c.End.Since += time.Hour; c.End.Wall = c.End.Wall.Add(time.Hour) }
	walled := func(c *record.Credential) { c.Walled = true; longer(c) }
	later := func(c *record.Credential) { c.Issued.Since += 30 * time.Minute; longer(c) }
	for name, test := range map[string]struct {
		text   string
		change func(*record.Credential)
		shared bool
	}{
		"by the wall clock":           {"v", walled, false},
		"first seen later":            {"v", later, false},
		"a longer life":               {"v", longer, true},
		"another one, first seen":     {"w", later, true},
		"another one, by wall clocks": {"w", walled, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				land := func(r record.Record) {
					t.Helper()
					c, err := a.claim(polled)
					if err == nil {
						err = c.Land(t.Context(), r)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				land(value("v", func(*record.Credential) {}))
				o := newOperator(t, etcd)
				before := string(o.value(record.Credentials, polled.Name))
				land(value(test.text, test.change))
				synctest.Wait()
				if after := string(o.value(record.Credentials, polled.Name)); (after != before) != test.shared {
					t.Errorf("stored in etcd: %v, want %v", after != before, test.shared)
				}
				if got := a.value(polled.Name); string(got) != test.text {
					t.Errorf("the host has %s", string(got))
				}
				if kv := o.stored(); b.copies()["credential "+polled.Name] != kv["credential "+polled.Name] {
					t.Error("the other host has something else than etcd")
				}
				if !test.shared {
					if err := a.Store().Put(t.Context(), value(test.text, test.change)); err != nil {
						t.Fatal(err)
					}
					if after := string(o.value(record.Credentials, polled.Name)); after != before {
						t.Error("stored in etcd without a claim")
					}
				}
				time.Sleep(2 * time.Hour) // a comparison later
				o.check("after a comparison", a, b)
			})
		})
	}
}

// TestBootMetLate follows a value of a host whose clock is known only later. It is dated again
// then.
func TestBootMetLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 5*time.Hour, 0), runPeer(t, etcd, "b", "x@b", 9*time.Hour, 0)
		o := newOperator(t, etcd)
		at := moment(time.Now())
		c := record.Credential{Name: "c", Value: "v", Boot: "y@b", Issued: at, Seen: at, End: moment(time.Now().Add(time.Hour))}
		o.put(c.Encode())
		synctest.Wait()
		if _, _, ok := a.Offset("y@b"); ok {
			t.Fatal("the boot is known before")
		}
		followed := 0
		a.node.mu.Lock()
		a.watch = func(r record.Record) {
			if _, _, ok := a.Offset("y@b"); ok && r.Table == record.Credentials {
				followed++
			}
		}
		a.node.mu.Unlock()
		// The host's copy is dated by the wall clock, as an engine writes it.
		copied, err := a.disk.Get(record.Credentials, "c")
		if err != nil {
			t.Fatal(err)
		}
		c.Boot, c.Walled = "x@a", true
		walled := c.Encode()
		walled.Revision = copied.Revision
		if err := a.disk.Put(t.Context(), walled); err != nil {
			t.Fatal(err)
		}
		b.crash()
		runPeer(t, etcd, "b", "y@b", time.Minute, 0)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if followed != 1 {
			t.Errorf("followed %d times since the boot is known", followed)
		}
	})
}

// TestRebootMissed: a host has rebooted while another was cut off, which is then refused a change
// because of what the first has stored since. It does not date that by its wall clock.
func TestRebootMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := runPeer(t, etcd, "a", "x@a", 0, 0), runPeer(t, etcd, "b", "x@b", time.Hour, 0)
		o := newOperator(t, etcd)
		time.Sleep(15 * time.Second)
		a.client.Cut()
		b.crash()
		time.Sleep(20 * time.Second)
		runPeer(t, etcd, "b", "y@b", time.Minute, 0)
		o.put(credentialBy("y@b"))
		a.client.MuteWatches()
		a.client.Heal()
		newer, ok := errors.AsType[*refresh.NewerError](a.Store().Put(t.Context(), credentialOf("c", "ours", time.Now())))
		if !ok || len(newer.Records) != 0 {
			t.Fatalf("got %v, want an error without a record", newer)
		}
		a.client.UnmuteWatches()
		time.Sleep(15 * time.Second)
		if a.value("c") != "v" {
			t.Error("the host does not follow when it knows the clock")
		}
	})
}

// TestDoubtEndsByRepetition repeats a call that had no answer, and WeChat repeats the value that
// etcd has. That ends the doubt, also if this host does not know the value's times.
func TestDoubtEndsByRepetition(t *testing.T) {
	for _, walled := range []bool{false, true} {
		t.Run(fmt.Sprint("by the wall clock ", walled), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				a.give("r1")
				claim := func() refresh.Claim {
					t.Helper()
					c, err := a.claim(rotating)
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				repeated, err := record.DecodeCredential(credentialOf(token, "v", time.Now()))
				if err == nil {
					err = claim().Land(t.Context(), repeated.Encode())
				}
				if err == nil {
					err = claim().Give(t.Context(), true)
				}
				if synctest.Wait(); err != nil || !b.doubtful(token) {
					t.Fatalf("doubt %v, %v", b.doubtful(token), err)
				}
				repeated.Walled = walled
				if err := claim().Land(t.Context(), repeated.Encode()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if a.doubtful(token) || b.doubtful(token) || len(etcd.Keys("/tokend/l/")) != 0 {
					t.Errorf("doubt at the host %v, at the other %v", a.doubtful(token), b.doubtful(token))
				}
			})
		})
	}
}
