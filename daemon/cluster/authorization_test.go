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

// TestWithdrawnDuringExchange: a code was exchanged, and while etcd does not answer, the customer
// withdraws the authorization at another host. The token that came with the grant is dead. A
// customer's first grant is, too: the message is stored although there is no grant yet.
func TestWithdrawnDuringExchange(t *testing.T) {
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprint("first ", first), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testWithdrawnDuringExchange(t, first) })
		})
	}
}

func testWithdrawnDuringExchange(t *testing.T, first bool) {
	etcd := kvtest.New()
	a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk(), withGrant)
	if !first {
		a.give("r1")
	}
	time.Sleep(time.Second)
	c, err := a.claim(refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: true})
	if err != nil {
		t.Fatal(err)
	}
	g, w := record.Grant{Name: grant}, record.Grant{Name: grant}
	if !first {
		g, w = a.grant(grant), b.grant(grant)
	}
	g.Replace(record.Generation{Value: "r2", At: time.Now(), Source: "event"})
	a.client.Faults(func(r kvtest.Request) kvtest.Fault {
		return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
	})
	if err := c.Land(t.Context(), spentOf("code"), g.Encode(), credentialOf(token, "v", time.Now())); !errors.Is(err, refresh.ErrUnconfirmed) {
		t.Fatalf("got %v", err)
	}
	time.Sleep(time.Second)
	w.Revoked = time.Now()
	if err := b.Store().Put(t.Context(), w.Encode()); err != nil {
		t.Fatal(err)
	}
	a.client.Faults(nil)
	time.Sleep(20 * time.Second)
	if b.value(token) != "" || a.value(token) != "" {
		t.Error("the token is in force")
	}
	if g := b.grant(grant); g.Live() || !g.Knows("r2") {
		t.Errorf("the grant can be used: %v, it is kept: %v", g.Live(), g.Knows("r2"))
	}
}

// TestCrossedExchange: while etcd does not answer, a code is exchanged at one host, and another
// host fetches the token. Its value stays in force, although WeChat may have answered the code
// last, so hosts learn that WeChat's newest is unknown, also after a restart of the host that has
// the answer to the code.
func TestCrossedExchange(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk(), withGrant)
				a.give("r1")
				time.Sleep(time.Second)
				c, err := a.claim(refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: true})
				if err != nil {
					t.Fatal(err)
				}
				a.client.Faults(func(r kvtest.Request) kvtest.Fault {
					return kvtest.Fault{Lost: r.Method == kvtest.Txn && writesEtcd(r.Txn)}
				})
				g := a.grant(grant)
				g.Replace(record.Generation{Value: "r2", At: time.Now(), Source: "event"})
				if err := c.Land(t.Context(), spentOf("code"), g.Encode(), credentialOf(token, "first", time.Now())); !errors.Is(err, refresh.ErrUnconfirmed) {
					t.Fatalf("got %v", err)
				}
				other, err := b.claim(rotating)
				if err != nil {
					t.Fatal(err)
				}
				if err := other.Land(t.Context(), b.answer("v", "r3")...); err != nil {
					t.Fatal(err)
				}
				if restart {
					a = a.restart(etcd, "a")
				} else {
					a.client.Faults(nil)
				}
				time.Sleep(20 * time.Second)
				if g := b.grant(grant); g.Value != "r3" || !g.Knows("r2") || b.value(token) != "v" {
					t.Errorf("in force: %s and %s", string(g.Value), string(b.value(token)))
				}
				if !a.doubtful(token) || !b.doubtful(token) || a.Stats().Offers != 0 {
					t.Errorf("doubt at the first host %v, at the other %v; %d offers", a.doubtful(token), b.doubtful(token), a.Stats().Offers)
				}
			})
		})
	}
}

// TestExchangeOvertaken ends the claim for a code while the answer to the code waits to be stored.
// The token that came with it is not put in force, so hosts learn that WeChat's newest is unknown,
// also after a restart of the host that has the answer.
func TestExchangeOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a, b := run(t, etcd, "a", newDisk(), withGrant), run(t, etcd, "b", newDisk(), withGrant)
		a.give("r1")
		time.Sleep(time.Second)
		code := refresh.Want{Table: record.Codes, Name: "code", Grant: grant, Rotates: true}
		c, err := a.claim(code)
		if err != nil {
			t.Fatal(err)
		}
		a.client.Cut()
		g := a.grant(grant)
		g.Replace(record.Generation{Value: "r2", At: time.Now(), Source: "event"})
		if err := c.Land(t.Context(), spentOf("code"), g.Encode(), credentialOf(token, "first", time.Now())); !errors.Is(err, refresh.ErrUnconfirmed) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(30 * time.Second)
		other, err := b.claim(code)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Land(t.Context(), record.Record{Table: record.Codes, Key: "code"}); err != nil {
			t.Fatal(err)
		}
		a = a.restart(etcd, "a")
		time.Sleep(20 * time.Second)
		if g := b.grant(grant); !g.Knows("r2") {
			t.Error("the grant is lost")
		}
		if !a.doubtful(token) || !b.doubtful(token) || a.Stats().Offers != 0 {
			t.Errorf("doubt at the first host %v, at the other %v; %d offers", a.doubtful(token), b.doubtful(token), a.Stats().Offers)
		}
	})
}
