package refresh

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// stalled is a store whose next read of one table returns when the test lets it.
type stalled struct {
	*disk
	table  record.Table
	reads  atomic.Bool // the next read is to stall; it does when this is false again
	resume chan struct{}
	stalls chan struct{}
}

func (s *stalled) stall(table record.Table) {
	if table == s.table && s.reads.CompareAndSwap(true, false) {
		close(s.stalls)
		<-s.resume
	}
}

func (s *stalled) Get(table record.Table, key string) (record.Record, error) {
	r, err := s.disk.Get(table, key)
	s.stall(table)
	return r, err
}

func (s *stalled) GetEach(table record.Table, keys []string) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for r, err := range s.disk.GetEach(table, keys) {
			if s.stall(table); !yield(r, err) {
				return
			}
		}
	}
}

// TestEarlyReadNotRevived holds that what a reader has found before the loading ended comes into
// service only if the loading has not ended since: a revocation or a reload may have come between.
func TestEarlyReadNotRevived(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	for _, table := range []record.Table{record.Credentials, record.Grants} {
		for what, do := range map[string]func(r *rig) error{
			"revocation": func(r *rig) error { return r.Revoke(context.Background(), grant, time.Now().Add(time.Second)) },
			"reload":     func(r *rig) error { r.SetCatalog(newPlatform("wxb").catalog()); return nil },
			"nothing":    func(*rig) error { return nil },
		} {
			t.Run(fmt.Sprint(what, " after a read of ", table), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					d := newDisk()
					keep(t, d, keptCustomer{child: "wxa", boot: thisBoot, left: time.Hour})
					d.walk = make(chan struct{})
					s := &stalled{disk: d, table: table, resume: make(chan struct{}), stalls: make(chan struct{})}
					r := start(t, Config{Store: s, Catalog: newPlatform("wxa").catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
					synctest.Wait() // the loading has read the grants
					s.reads.Store(true)
					read := make(chan error, 1)
					go func() { _, err := r.get(name); read <- err }()
					<-s.stalls
					close(d.walk)
					<-r.Loaded()
					if err := do(r); err != nil {
						t.Fatal(err)
					}
					close(s.resume)
					if err := <-read; (err == nil) != (what == "nothing") {
						t.Errorf("the reader got %v", err)
					}
					if _, ok := r.Cached([]byte(name)); ok != (what == "nothing") {
						t.Errorf("served: %v", ok)
					}
					if en := r.index.get(name); en != nil && en.place == 0 {
						t.Error("its entry is never due")
					}
				})
			})
		}
	}
}

// TestEarlyReadExpired holds that a value that expires while its reader stalls is not served.
func TestEarlyReadExpired(t *testing.T) {
	for _, table := range []record.Table{record.Credentials, record.Grants} {
		t.Run(string(table), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDisk()
				keep(t, d, keptCustomer{child: "wxa", boot: thisBoot, left: time.Minute})
				d.walk = make(chan struct{})
				s := &stalled{disk: d, table: table, resume: make(chan struct{}), stalls: make(chan struct{})}
				r := start(t, Config{Store: s, Catalog: newPlatform("wxa").catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
				synctest.Wait() // the loading has read the grants
				s.reads.Store(true)
				read := make(chan string, 1)
				go func() { v, _ := r.get(customer("wxa", "access_token")); read <- v }()
				<-s.stalls
				time.Sleep(2 * time.Minute)
				close(s.resume)
				synctest.Wait()
				close(d.walk)
				if v := <-read; v != "" {
					t.Errorf("the reader got %s a minute after its end", v)
				}
			})
		})
	}
}

// TestInheritedHoldConfirmed holds that a hold that was read before a grant was given, which ends
// it, does not come into force after that.
func TestInheritedHoldConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
		p := newPlatform("wxa")
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "new" {
				return token("tok", 2*time.Hour), nil
			}
			return fetchers.Token{}, refusal(61023, fetchers.Reauthorize)
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "old")
		_, err := r.get(name)
		mustReason(t, err, credential.Reauth)
		r.stop()
		s := &stalled{disk: d, table: record.Holds, resume: make(chan struct{}), stalls: make(chan struct{})}
		r = start(t, Config{Store: s, Catalog: p.catalog()})
		_, err = r.get(name)
		mustReason(t, err, credential.Reauth)
		r.stop()
		r = start(t, Config{Store: s, Catalog: p.catalog()})
		s.reads.Store(true)
		read := make(chan error, 1)
		go func() { _, err := r.get(name); read <- err }()
		<-s.stalls
		r.mustPut(grant, "new")
		close(s.resume)
		if err := <-read; err != nil {
			t.Error(err)
		}
		r.mustState(name, credential.Fresh)
	})
}

// TestEntryOfARemovedAccount holds that an account that is taken out of the configuration while an
// entry of it is being made leaves no entry behind.
func TestEntryOfARemovedAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := customer("wxa", "access_token")
		s := &stalled{disk: newDisk(), table: record.Grants, resume: make(chan struct{}), stalls: make(chan struct{})}
		keep(t, s.disk, keptCustomer{child: "wxa", none: true})
		r := start(t, Config{Store: s, Catalog: newPlatform("wxa").catalog()})
		synctest.Wait()
		s.reads.Store(true)
		read := make(chan error, 1)
		go func() { _, err := r.get(name); read <- err }()
		<-s.stalls
		r.SetCatalog(without())
		close(s.resume)
		mustReason(t, <-read, credential.NotFound)
		if r.index.get(name) != nil {
			t.Error("it has an entry")
		}
	})
}
