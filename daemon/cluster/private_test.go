package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// TestPrivateBudget: a budget that concerns one host alone never reaches etcd, whichever write of a
// claim it comes with.
func TestPrivateBudget(t *testing.T) {
	private := func(cfg *cluster.Config) {
		cfg.Private = func(r record.Record) bool { return r.Table == record.Budgets }
	}
	polled := refresh.Want{Table: record.Credentials, Name: "work/ww1/7/jsapi_ticket"}
	rotating := refresh.Want{Table: record.Credentials, Name: "official_account/wx1/access_token", Rotates: true}
	for name, write := range map[string]func(t *testing.T, n *node, budget record.Record) error{
		"claim": func(t *testing.T, n *node, budget record.Record) error {
			_, err := n.claim(polled, budget)
			return err
		},
		"further call": func(t *testing.T, n *node, budget record.Record) error {
			c, err := n.claim(rotating)
			if err == nil {
				err = c.Put(t.Context(), budget)
			}
			return err
		},
		"kept claim": func(t *testing.T, n *node, budget record.Record) error {
			value := credentialOf(polled.Name, "ticket", time.Now())
			for range 2 {
				c, err := n.claim(polled)
				if err == nil {
					err = c.Land(t.Context(), value)
				}
				if err != nil {
					return err
				}
			}
			_, err := n.claim(polled, budget)
			return err
		},
		"repeated answer": func(t *testing.T, n *node, budget record.Record) error {
			for i := range 2 {
				c, err := n.claim(polled)
				if err != nil {
					return err
				}
				recs := []record.Record{credentialOf(polled.Name, "ticket", time.Now().Add(time.Duration(i)*time.Hour))}
				if i == 1 {
					recs = append(recs, budget)
				}
				if err := c.Land(t.Context(), recs...); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				a := run(t, etcd, "a", newDisk(), private)
				budget := budgetOf("work/#faults", 1, time.Now())
				if err := write(t, a, budget); err != nil {
					t.Fatal(err)
				}
				if n := len(etcd.Keys("/tokend/b/")); n != 0 {
					t.Errorf("etcd has %d budgets", n)
				}
				if r, err := a.Store().Get(budget.Table, budget.Key); err != nil || r.Value == nil {
					t.Errorf("the host has no copy: %v", err)
				}
			})
		})
	}
}
