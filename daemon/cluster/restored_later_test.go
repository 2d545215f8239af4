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
	"tokend/fetchers/secret"
)

// TestTicketKeptAfterRestore restores etcd to an older ticket. The hosts keep their later one and
// put it back, also if it has ended or is the same value. So etcd takes the next ticket.
func TestTicketKeptAfterRestore(t *testing.T) {
	ticket := func(value string, stamp time.Time, life time.Duration) record.Record {
		return record.Credential{
			Name: "ticket", Value: secret.Text(value), Boot: "boot@a", Issued: moment(time.Now()), Seen: moment(time.Now()),
			End: moment(time.Now().Add(life)), Life: life, Stamp: stamp,
		}.Encode()
	}
	for name, newest := range map[string]func(at time.Time) record.Record{
		"same value": func(at time.Time) record.Record { return ticket("first", at.Add(time.Minute), 12*time.Hour) },
		"over":       func(at time.Time) record.Record { return ticket("second", at.Add(time.Minute), time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				at := time.Now()
				o.put(ticket("first", at, 12*time.Hour))
				time.Sleep(15 * time.Second)
				backup := etcd.Backup()
				o.put(newest(at))
				synctest.Wait()
				time.Sleep(2 * time.Second)
				etcd.Restore(backup, true)
				time.Sleep(time.Minute)
				o.check("restored", a, b)
				if err := a.put(ticket("third", at.Add(10*time.Minute), 12*time.Hour)); err != nil {
					t.Errorf("the next ticket: %v", err)
				}
				synctest.Wait()
				o.check("the next ticket", a, b)
			})
		})
	}
}

// put stores a record as an engine does.
func (n *node) put(r record.Record) (err error) {
	for range 5 {
		err = n.Store().Put(n.t.Context(), r)
		newer, ok := errors.AsType[*refresh.NewerError](err)
		if !ok {
			return err
		}
		n.Follow(newer.Records...)
		time.Sleep(time.Second)
	}
	return err
}

// TestEndedAfterRestore restores etcd to before a value was stored that has ended in the meantime.
// Nobody puts it back, and the next value is stored at once, at a lower revision.
func TestEndedAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		o := newOperator(t, etcd)
		a.give("r1")
		synctest.Wait()
		backup := etcd.Backup()
		value := func(text string) record.Record {
			c, err := record.DecodeCredential(credentialOf(token, text, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			c.End = moment(time.Now().Add(time.Minute))
			return c.Encode()
		}
		for i := range 300 {
			o.put(credentialOf("other", fmt.Sprint(i), time.Now()))
			time.Sleep(time.Second)
		}
		if err := a.put(value("v1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		etcd.Restore(backup, true)
		time.Sleep(time.Minute)
		if err := b.put(value("v2")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		o.check("the next value", a, b)
	})
}

// TestTicketsOfOneSecond stores a ticket that was put by hand, then a ticket of WeChat that is of
// the same second, as engines do. The last counts.
func TestTicketsOfOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		ticket := func(value string, stamp time.Time) record.Record {
			c, err := record.DecodeCredential(credentialOf("ticket", value, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			c.Stamp = stamp
			return c.Encode()
		}
		second := time.Now().Truncate(time.Second)
		for _, err := range []error{
			a.put(ticket("by hand", second.Add(700*time.Millisecond))),
			b.put(ticket("pushed", second)),
		} {
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if got := a.value("ticket"); got != "pushed" {
			t.Errorf("got %s", string(got))
		}
		newOperator(t, etcd).check("later", a, b)
	})
}

// overtaken freezes a between its claim and its call, so that b takes the claim over and calls. The
// backup has the claim of a.
func overtaken(t *testing.T, etcd *kvtest.Etcd, a, b *node) (refresh.Claim, *kvtest.Backup) {
	t.Helper()
	c, err := a.claim(rotating)
	if err != nil {
		t.Fatal(err)
	}
	backup := etcd.Backup()
	a.client.Freeze()
	time.Sleep(30 * time.Second)
	other, err := b.claim(rotating)
	if err == nil {
		err = other.Land(t.Context(), b.answer("t2", "r3")...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, backup
}

// TestLateLandingAfterRestore pauses a host before its call, so that a peer takes its claim over
// and calls. Then etcd is restored to the claim, and the late call lands. Its value may be WeChat's
// newest, and was asked for before the peer's.
func TestLateLandingAfterRestore(t *testing.T) {
	for _, wait := range []time.Duration{0, 20 * time.Second} { // until the host has noticed the restore
		t.Run(fmt.Sprint("landed after ", wait), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				a.give("r1")
				c, backup := overtaken(t, etcd, a, b)
				etcd.Restore(backup, true)
				a.client.Thaw()
				time.Sleep(wait)
				if err := c.Land(t.Context(), a.answer("t1", "r2")...); errors.Is(err, refresh.ErrRenewed) {
					_ = c.Give(t.Context(), true) // the peer was first to put its answer back
				} else if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if !a.doubtful(token) || !b.doubtful(token) {
					t.Error("nobody fetches again")
				}
				g := b.grant(grant)
				if !g.Knows("r2") || !g.Knows("r3") {
					t.Errorf("a grant is lost: %+v", g)
				}
			})
		})
	}
}

// TestLateLandingLearnedLate: after such a landing, the host is cut off from etcd. It learns of the
// restore when it is back, from its peer.
func TestLateLandingLearnedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		time.Sleep(15 * time.Second)
		c, backup := overtaken(t, etcd, a, b)
		etcd.Restore(backup, false)
		a.client.Thaw()
		if err := c.Land(t.Context(), a.answer("t1", "r2")...); err != nil {
			t.Fatal(err)
		}
		a.client.Cut()
		time.Sleep(2 * time.Minute)
		if b.doubtful(token) {
			t.Fatal("the host had learned of the restore")
		}
		a.client.Heal()
		time.Sleep(time.Minute)
		if !a.doubtful(token) || !b.doubtful(token) {
			t.Error("nobody fetches again")
		}
	})
}
