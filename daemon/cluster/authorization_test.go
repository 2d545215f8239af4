package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// TestGrantCompared stores a value at a host that has not seen that another grant is stored since
// the value was fetched. The value is refused, with the grant. While etcd is unreachable, a landing
// is repeated without the value.
func TestGrantCompared(t *testing.T) {
	polled := refresh.Want{Table: record.Credentials, Name: token, Grant: grant}
	for name, test := range map[string]func(t *testing.T, a *node, value record.Record, change func()) error{
		"landing": func(t *testing.T, a *node, value record.Record, change func()) error {
			c, err := a.claim(polled)
			if err != nil {
				t.Fatal(err)
			}
			change()
			return c.Land(t.Context(), value)
		},
		"repeated": func(t *testing.T, a *node, value record.Record, change func()) error {
			c, err := a.claim(polled)
			if err == nil {
				err = c.Land(t.Context(), value)
			}
			if err == nil {
				c, err = a.claim(polled)
			}
			if err != nil {
				t.Fatal(err)
			}
			change()
			longer, err := record.DecodeCredential(value)
			if err != nil {
				t.Fatal(err)
			}
			longer.End = moment(time.Now().Add(3 * time.Hour))
			return c.Land(t.Context(), longer.Encode())
		},
		"without a claim": func(t *testing.T, a *node, value record.Record, change func()) error {
			change()
			return a.Store().Put(t.Context(), value)
		},
		"cut off": func(t *testing.T, a *node, value record.Record, change func()) error {
			c, err := a.claim(polled)
			if err != nil {
				t.Fatal(err)
			}
			a.client.Faults(func(r kvtest.Request) kvtest.Fault {
				return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
			})
			if err := c.Land(t.Context(), value); !errors.Is(err, refresh.ErrUnconfirmed) {
				t.Fatalf("got %v", err)
			}
			change()
			a.client.Faults(nil)
			a.client.UnmuteWatches()
			time.Sleep(20 * time.Second)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk())
				o := newOperator(t, etcd)
				a.give("r1")
				synctest.Wait()
				value := credentialOf(token, "v", time.Now())
				before := ""
				err := test(t, a, value, func() {
					before = string(o.value(record.Credentials, token))
					a.client.MuteWatches()
					b.give("r2")
				})
				if string(o.value(record.Credentials, token)) != before {
					t.Error("the value was stored")
				}
				if name == "cut off" {
					if n := a.Stats().Offers; n != 0 || len(etcd.Keys("/tokend/l/")) != 0 {
						t.Errorf("%d offers and %d claims are left", n, len(etcd.Keys("/tokend/l/")))
					}
					return
				}
				newer, ok := errors.AsType[*refresh.NewerError](err)
				if !ok || len(newer.Records) != 1 || newer.Records[0].Key != grant {
					t.Fatalf("got %v, want the newer grant", err)
				}
				a.Follow(newer.Records...)
				if err := a.Store().Put(t.Context(), value); err != nil {
					t.Errorf("with the newer grant: %v", err)
				}
			})
		})
	}
}

// TestRotationOvertaken lands an answer late that has replaced the token at WeChat, after another
// host has changed the grant, or stored the first token of a new authorization. The value is not
// put in force, so hosts learn that WeChat's is unknown, also after a restart of the host that has
// the answer. A grant that came with it is kept.
func TestRotationOvertaken(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, rotated := range []bool{false, true} {
			for _, by := range []string{"a grant", "a token"} {
				t.Run(fmt.Sprintf("restart %v, with a grant %v, by %s", restart, rotated, by), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testRotationOvertaken(t, restart, rotated, by) })
				})
			}
		}
	}
}

func testRotationOvertaken(t *testing.T, restart, rotated bool, by string) {
	etcd := kvtest.New()
	a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
	a.give("r1")
	synctest.Wait()
	c, err := a.claim(rotating)
	if err != nil {
		t.Fatal(err)
	}
	a.client.Faults(func(r kvtest.Request) kvtest.Fault {
		return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
	})
	answer := a.answer("v", "r2")
	if !rotated {
		answer = answer[:1]
	}
	if err := c.Land(t.Context(), answer...); !errors.Is(err, refresh.ErrUnconfirmed) {
		t.Fatalf("got %v", err)
	}
	g := b.grant(grant)
	g.Replace(record.Generation{Value: "r3", At: time.Now(), Source: "event"})
	change, inForce := g.Encode(), secret.Text("r3")
	if by == "a token" {
		change, inForce = credentialOf(token, "first", time.Now()), "r1"
	}
	if err := b.Store().Put(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if restart {
		a = a.restart(etcd, "a")
	} else {
		a.client.Faults(nil)
	}
	time.Sleep(20 * time.Second)
	if b.value(token) == "v" {
		t.Error("the value was stored")
	}
	if !a.doubtful(token) || !b.doubtful(token) || a.Stats().Offers != 0 {
		t.Errorf("doubt at the first host %v, at the other %v; %d offers", a.doubtful(token), b.doubtful(token), a.Stats().Offers)
	}
	if by == "a token" && rotated {
		inForce = "r2" // in place of the grant of the call
	}
	if g := b.grant(grant); g.Value != inForce || g.Knows("r2") != rotated {
		t.Errorf("in force: %s; the late grant is kept: %v", string(g.Value), g.Knows("r2"))
	}
}

// withGrant makes token depend on grant.
func withGrant(cfg *cluster.Config) {
	cfg.Grant = func(name string) string {
		if name == token {
			return grant
		}
		return ""
	}
}

// TestWithdrawnNotPutBack deletes a token in etcd, as the withdrawal of an authorization does. A
// host that has seen nothing else of it does not put its copy back.
func TestWithdrawnNotPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk(), withGrant)
		o := newOperator(t, etcd)
		a.give("r1")
		o.put(credentialOf(token, "dead", time.Now()))
		time.Sleep(10 * time.Second)
		o.put(deletionOf(record.Credentials, token))
		a.give("r2")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if o.value(record.Credentials, token) != nil || b.value(token) != "" {
			t.Error("the token came back")
		}
	})
}
