package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestKeptClaimReleased: a claim that a poller has kept is released although another host was first
// to change a budget and the poller then makes no call.
func TestKeptClaimReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
		value := credentialOf(polled.Name, "ticket", time.Now())
		for range 2 {
			c, err := a.claim(polled, budgetOf("work/ww1#calls", 1, time.Now()))
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := len(etcd.Keys("/tokend/l/")); n != 1 {
			t.Fatalf("%d claims are kept", n)
		}
		synctest.Wait()
		a.client.MuteWatches()
		if err := b.Store().Put(t.Context(), budgetOf("work/ww1#calls", 2, time.Now())); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Claim(t.Context(), polled, budgetOf("work/ww1#calls", 2, time.Now())); !errors.Is(err, refresh.ErrRenewed) {
			t.Fatalf("got %v", err)
		}
		a.client.UnmuteWatches()
		time.Sleep(3 * time.Minute)
		if n := len(etcd.Keys("/tokend/l/")); n != 0 {
			t.Errorf("%d claims are left", n)
		}
	})
}

// TestTakeoverKnown: an engine whose host has taken over a doubt does not take the credential for
// doubtful while it is being fetched, nor while a poller keeps the claim. The watch may show the
// claim before etcd's answer arrives.
func TestTakeoverKnown(t *testing.T) {
	for name, late := range map[string]time.Duration{"answered": 0, "seen": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
				polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
				value := credentialOf(polled.Name, "ticket", time.Now())
				if err := b.Store().Put(t.Context(), value); err != nil {
					t.Fatal(err)
				}
				if _, err := a.claim(polled); err != nil {
					t.Fatal(err)
				}
				a.crash()
				time.Sleep(30 * time.Second)
				if !b.doubtful(polled.Name) {
					t.Fatal("the claim of the dead host is not known")
				}
				b.client.Faults(func(kvtest.Request) kvtest.Fault { return kvtest.Fault{Answer: late} })
				c, err := b.claim(polled)
				if err == nil {
					err = c.Land(t.Context(), value)
				}
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(etcd.Keys("/tokend/l/")) != 1 || b.doubtful(polled.Name) {
					t.Error("the engine still knows of the doubt before the claim")
				}
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				if known := b.claimOf(polled.Name); known != (record.Claim{}) {
					t.Errorf("the engine knows of the claim %+v, which has been released", known)
				}
			})
		})
	}
}

// TestRepeatedAnswerDropped: an answer that WeChat repeats to another host leaves no doubt if it
// could not land.
func TestRepeatedAnswerDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
		value := credentialOf(polled.Name, "ticket", time.Now())
		c, err := a.claim(polled)
		if err != nil {
			t.Fatal(err)
		}
		a.client.Cut()
		if err := c.Land(t.Context(), value); !errors.Is(err, refresh.ErrUnconfirmed) {
			t.Errorf("got %v", err)
		}
		time.Sleep(30 * time.Second)
		if c, err = b.claim(polled); err == nil {
			err = c.Land(t.Context(), value)
		}
		if err != nil {
			t.Fatal(err)
		}
		a.client.Heal()
		time.Sleep(10 * time.Second)
		if n := a.Stats().Offers; n != 0 || len(etcd.Keys("/tokend/l/")) != 0 {
			t.Errorf("%d offers and %d claims are left", n, len(etcd.Keys("/tokend/l/")))
		}
	})
}

// TestKeptClaimRotates: an account is configured to fetch its token in a way that ends the one
// before. The claim that a poller has kept until then does not stand for such a call, which leaves
// doubt if it has no answer.
func TestKeptClaimRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		const name = "official_account/wx1/access_token"
		value := credentialOf(name, "t1", time.Now())
		for range 2 {
			c, err := a.claim(refresh.Want{Table: record.Credentials, Name: name})
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c, err := a.claim(refresh.Want{Table: record.Credentials, Name: name, Rotates: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Give(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if !a.doubtful(name) {
			t.Error("a call without an answer has left no doubt")
		}
	})
}

// TestKeptClaimIntent: the hold that a poller leaves before a call ends with the call that was not
// made, also if the claim is from its last call.
func TestKeptClaimIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
		value := credentialOf(polled.Name, "ticket", time.Now())
		for range 2 {
			c, err := a.claim(polled)
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c, err := a.claim(polled, holdOf(polled.Name, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Give(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r, _ := b.Store().Get(record.Holds, polled.Name); r.Value != nil {
			t.Error("no host calls because of the hold")
		}
	})
}

// TestStrayIntent: a claim was applied, and its host does not know. No call is made with it, so
// the hold that was stored for the call ends with the claim.
func TestStrayIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
		a.give("r1")
		synctest.Wait()
		n := 0
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			if r.Method == kvtest.Txn && writesEtcd(r.Txn) && n < 3 {
				n++
				return kvtest.Fault{Unseen: true}
			}
			return kvtest.Fault{}
		})
		if _, err := a.claim(rotating, holdOf(token, "x")); !errors.Is(err, refresh.ErrApart) {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r, _ := b.Store().Get(record.Holds, token); r.Value != nil || len(etcd.Keys("/tokend/l/")) > 0 {
			t.Error("the hold or the claim is left")
		}
	})
}

// TestKeptClaimNextSession: a poller has kept its claim when its host's session ends. The next poll
// is made with a claim of the next session, so that no host believes that a call had no answer.
func TestKeptClaimNextSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
		value := credentialOf(polled.Name, "ticket", time.Now())
		poll := func() {
			t.Helper()
			c, err := a.claim(polled)
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		poll()
		poll()
		a.client.Cut()
		time.Sleep(30 * time.Second)
		a.client.Heal()
		time.Sleep(20 * time.Second)
		poll()
		if a.doubtful(polled.Name) {
			t.Error("the engine calls repeatedly, because of a doubt")
		}
	})
}

// TestKeptClaimsReleasedLater: several claims that pollers have kept are to be released, and etcd
// does not answer. All are released when it answers again.
func TestKeptClaimsReleasedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		for _, name := range []string{"work/ww1/7/jsapi_ticket", "work/ww2/7/jsapi_ticket", "work/ww3/7/jsapi_ticket"} {
			for range 2 {
				c, err := a.claim(refresh.Want{Table: record.Credentials, Name: name})
				if err == nil {
					err = c.Land(t.Context(), credentialOf(name, "ticket", time.Now()))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		a.client.Faults(func(r kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
		})
		time.Sleep(3 * time.Minute)
		if n := len(etcd.Keys("/tokend/l/")); n != 3 {
			t.Fatalf("%d claims are left", n)
		}
		a.client.Faults(nil)
		time.Sleep(3 * time.Minute)
		if n := len(etcd.Keys("/tokend/l/")); n != 0 {
			t.Errorf("%d claims are left", n)
		}
	})
}
