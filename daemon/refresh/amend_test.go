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
	"tokend/fetchers"
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

// A disk that hangs keeps nobody who has stopped waiting. What was begun is done when the disk
// continues, and the engine's end waits for it.
func TestHungDiskKeepsNoCaller(t *testing.T) {
	now := time.Now()
	for name, call := range map[string]func(ctx context.Context, r *rig) error{
		"put of a ticket": func(ctx context.Context, r *rig) error { return r.Put(ctx, verify, "t2") },
		"put of a grant":  func(ctx context.Context, r *rig) error { return r.Put(ctx, customer("wxa", "refresh_token"), "g2") },
		"put of many": func(ctx context.Context, r *rig) error {
			errs := r.PutAll(ctx, []credential.Deposit{
				{Name: verify, Value: "t2"},
				{Name: customer("wxa", "refresh_token"), Value: "g2"},
				{Name: "no/such/name", Value: "v"},
			})
			if of, ok := errors.AsType[*credential.Error](errs[2]); !ok || of.Reason != credential.NotFound {
				t.Errorf("a name that does not exist: got %v", errs[2])
			}
			return errors.Join(errs[:2]...)
		},
		"push": func(ctx context.Context, r *rig) error { return r.Push(ctx, verify, "t2", now.Add(time.Hour)) },
		"revocation": func(ctx context.Context, r *rig) error {
			return r.Revoke(ctx, customer("wxa", "refresh_token"), now.Add(time.Hour))
		},
		"authorization code": func(ctx context.Context, r *rig) error {
			return r.Accept(ctx, platform, "code-of-wxa", now, now.Add(time.Hour))
		},
		"page of customers": func(ctx context.Context, r *rig) error { _, err := r.Import(ctx, platform, 0); return err },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.list = func(int, int) (fetchers.AuthorizerPage, error) {
					return fetchers.AuthorizerPage{Total: 1, Authorizers: []fetchers.ListedAuthorizer{{AppID: "wxa", RefreshToken: "g2"}}}, nil
				}
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("t1", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "g1")
				r.mustGet(component)
				synctest.Wait()
				d.gate = make(chan struct{})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				began := time.Now()
				called := make(chan error, 1)
				go func() { called <- call(ctx, r) }()
				select {
				case err := <-called:
					if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 30*time.Second {
						t.Errorf("got %v after %s, want %v after 30s", err, took, context.DeadlineExceeded)
					}
				case <-time.After(time.Hour):
					close(d.gate)
					t.Fatal("nothing was returned for an hour")
				}
				ended := make(chan struct{})
				go func() { r.stop(); close(ended) }()
				synctest.Wait()
				select {
				case <-ended:
					t.Error("the engine has ended before what was begun has")
				default:
				}
				close(d.gate)
				<-ended
			})
		})
	}
}
