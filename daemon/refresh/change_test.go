package refresh

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// refusing is a disk that refuses the next Puts that pick says.
type refusing struct {
	*disk
	pick func(recs []record.Record) bool
	left atomic.Int32
	puts atomic.Int32
}

func (d *refusing) Put(ctx context.Context, recs ...record.Record) error {
	d.puts.Add(1)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d.left.Load() > 0 && d.pick(recs) {
		d.left.Add(-1)
		return errors.New("refused")
	}
	return d.disk.Put(ctx, recs...)
}

func has(table record.Table) func([]record.Record) bool {
	return func(recs []record.Record) bool {
		for _, r := range recs {
			if r.Table == table && r.Value != nil {
				return true
			}
		}
		return false
	}
}

// TestBatchRefused holds that changes that are written together and refused are tried one by one,
// that a single change is not tried again, and that a change without records is not refused.
func TestBatchRefused(t *testing.T) {
	deposits := func(children ...string) (all []credential.Deposit) {
		for _, c := range children {
			all = append(all, credential.Deposit{Name: customer(c, "refresh_token"), Value: secret.Text("refresh-of-" + c)})
		}
		return all
	}
	for _, tc := range []struct {
		name     string
		children []string
		canceled bool
		want     []bool // stored
		puts     int32
	}{
		{"one", []string{"wxa"}, false, []bool{false}, 1},
		{"two", []string{"wxa", "wxb"}, false, []bool{true, true}, 3},
		{"two, one of them known", []string{"wxa", "known"}, false, []bool{true, true}, 2},
		{"two, and nobody waits", []string{"wxa", "known"}, true, []bool{false, true}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := &refusing{disk: newDisk(), pick: has(record.Grants)}
				r := start(t, Config{Store: d, Catalog: newPlatform("wxa", "wxb", "known").catalog()})
				r.PutAll(t.Context(), deposits("known"))
				synctest.Wait()
				d.left.Store(1)
				d.puts.Store(0)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.canceled {
					inner := d.pick
					d.pick = func(recs []record.Record) bool { cancel(); return inner(recs) }
				}
				var takes []change
				for _, put := range deposits(tc.children...) {
					c, err := r.takes(put, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					takes = append(takes, c)
				}
				for i, err := range r.carryOut(ctx, takes...) { // PutAll waits no longer than ctx
					if (err == nil) != tc.want[i] {
						t.Errorf("%s: %v", tc.children[i], err)
					}
				}
				if n := d.puts.Load(); n != tc.puts {
					t.Errorf("%d writes, want %d", n, tc.puts)
				}
			})
		})
	}
}

// TestOwedGrantOverwritesNoValue holds that what the disk lacks of a grant is written later without
// the value that came with it: another may have been written since.
func TestOwedGrantOverwritesNoValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := &refusing{disk: newDisk(), pick: has(record.Grants)}
		name := customer("wxa", "access_token")
		r := start(t, Config{Store: d, Catalog: p.catalog(), Boot: thisBoot, Boottime: bootedNow()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		d.left.Store(1000)
		go func() { _, _ = r.Exchange(context.Background(), platform, "code-of-wxa") }()
		synctest.Wait()
		if d.has(record.Grants, customer("wxa", "refresh_token")) {
			t.Fatal("the grant was not refused")
		}
		if got := r.mustGet(name); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
		if _, err := r.Refresh(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		c, _ := d.Get(record.Credentials, name)
		d.left.Store(0)
		time.Sleep(3 * saveEvery)
		if !d.has(record.Grants, customer("wxa", "refresh_token")) {
			t.Error("the grant has not been written since")
		}
		if later, _ := d.Get(record.Credentials, name); string(later.Value) != string(c.Value) || len(c.Value) == 0 {
			t.Error("the value on disk is not what was written last")
		}
	})
}
