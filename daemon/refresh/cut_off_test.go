package refresh

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestCutOffTriedOnce: while the store of all hosts does not answer, each write waits for seconds.
// So the changes of a batch are not tried one by one, and not everything that is unsaved is tried.
func TestCutOffTriedOnce(t *testing.T) {
	unanswered := errors.Join(ErrUnconfirmed, &ApartError{unreachable})
	t.Run("a batch", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &peers{}
			r := startPeers(t, p, Config{Catalog: newPlatform("wxa", "wxb").catalog()})
			p.set(func() {
				p.writes, p.write = 0, func(int, []record.Record) error { return unanswered }
			})
			for i, err := range r.PutAll(t.Context(), []credential.Deposit{
				{Name: customer("wxa", "refresh_token"), Value: "a"}, {Name: customer("wxb", "refresh_token"), Value: "b"},
			}) {
				if e := mustReason(t, err, credential.Unreachable); e.Message != "etcd unreachable: nothing stored" {
					t.Errorf("%d: got %q", i, e.Message)
				}
			}
			if p.writes != 1 {
				t.Errorf("%d writes, want one", p.writes)
			}
		})
	})
	t.Run("what is unsaved", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &peers{}
			var children []string
			for i := range 20 {
				children = append(children, fmt.Sprintf("wx%d", i))
			}
			r := startPeers(t, p, Config{Catalog: newPlatform(children...).catalog()})
			for _, c := range children {
				r.grants.hold(record.Grant{Name: customer(c, "refresh_token"), Generation: record.Generation{Value: secret.Text(c), At: time.Now()}})
			}
			p.set(func() {
				p.writes, p.write = 0, func(int, []record.Record) error { return unanswered }
			})
			r.saveAll()
			if p.writes != 1 {
				t.Errorf("%d writes, want one", p.writes)
			}
			if n := len(r.grants.refused()); n != len(children) {
				t.Errorf("%d grants are left, want %d", n, len(children))
			}
			p.set(func() { p.write = nil })
			r.saveAll()
			if n := len(r.grants.refused()); n != 0 {
				t.Errorf("%d grants are left", n)
			}
		})
	})
}

// TestSharedBatches: the store of all hosts takes 128 records in one write. What has piled up while
// it was out of reach is written in more than one.
func TestSharedBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &peers{}
		r := startPeers(t, p, Config{Catalog: newPlatform("wxa").catalog()})
		p.set(func() {
			p.write = func(_ int, recs []record.Record) error {
				if len(recs) > 128 {
					return &ApartError{"etcd refuses writes: too many operations in txn request"}
				}
				return nil
			}
		})
		b := quota.Budget{Word: "calls", Window: time.Hour, Limit: 10, Spare: 5}
		var settled []record.Record
		for i := range 300 {
			r.ledger.Spend(b, b.Key(fmt.Sprint(i)), r.clock.Now())
			r.ledger.Forfeit(b, b.Key(fmt.Sprint(i)), r.clock.Now())
			settled = append(settled, record.Record{Table: record.Codes, Key: fmt.Sprint(i)})
		}
		if err := r.saveBudgets(); err != nil || len(r.ledger.Uncounted()) != 0 {
			t.Errorf("budgets: %v, %d are left", err, len(r.ledger.Uncounted()))
		}
		if err := r.deleteCodes(settled); err != nil {
			t.Errorf("codes: %v", err)
		}
	})
}
