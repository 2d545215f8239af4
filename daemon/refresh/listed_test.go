package refresh

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// office is a WeChat that lists the host's address, or does not.
type office struct {
	unlisted atomic.Bool
	upstream
}

func newOffice() *office {
	o := &office{}
	o.unlisted.Store(true)
	o.answer = func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
		time.Sleep(20 * time.Millisecond)
		if o.unlisted.Load() {
			return fetchers.Token{}, refusal(40164, fetchers.AddressRefused)
		}
		return token("tok", 2*time.Hour), nil
	}
	return o
}

const offices = 60

func account(i int) string { return fmt.Sprintf("official_account/wx%d/access_token", i) }

// catalog is of so many accounts at one host, and of an app at the other.
func (o *office) catalog(other Fetcher) catalog {
	all := []Spec{{Name: corp, Policy: policy.CorpToken, Fetcher: other}}
	for i := range offices {
		all = append(all, Spec{Name: account(i), Policy: policy.StableToken, Fetcher: o})
	}
	return specs(all...)
}

// TestAddressListed: when the host's address has been listed, one success, a reload or a restart
// ends the holds of all that were refused because of it.
func TestAddressListed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fixed func(r *rig, cfg Config) *rig
		calls int // for the other host
	}{
		{"refresh", func(r *rig, _ Config) *rig {
			if _, err := r.Refresh(r.t.Context(), account(7)); err != nil {
				r.t.Fatal(err)
			}
			return r
		}, 1},
		{"reload", func(r *rig, cfg Config) *rig { r.SetCatalog(cfg.Catalog); return r }, 2},
		{"restart", func(r *rig, cfg Config) *rig { r.stop(); return start(r.t, cfg) }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o, other := newOffice(), newOffice()
				cfg := Config{Store: newDisk(), Catalog: o.catalog(other), Boot: thisBoot, Boottime: bootedNow()}
				r := start(t, cfg)
				_, err := r.get(corp)
				mustReason(t, err, credential.Refused)
				for i := range offices {
					_, err := r.get(account(i))
					mustReason(t, err, credential.Refused)
				}
				o.unlisted.Store(false)
				before := o.count()
				r = tc.fixed(r, cfg)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				for i := range offices {
					if _, ok := r.Cached([]byte(account(i))); !ok {
						t.Fatalf("%s is still held", account(i))
					}
				}
				if n := o.count() - before; n != offices {
					t.Errorf("calls: got %d, want one for each", n)
				}
				if n := o.atOnce(); n > cfg.workers() {
					t.Errorf("calls at once: got %d, want %d at most", n, cfg.workers())
				}
				if n := other.count(); n != tc.calls {
					t.Errorf("calls at the other host: got %d, want %d", n, tc.calls)
				}
			})
		})
	}
}

// TestAddressListedTwice: accounts whose lists are completed less than a minute after a success has
// ended the holds of all are not held for longer than that minute.
func TestAddressListedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first, o, p := newOffice(), newOffice(), newPlatform("wxa")
		o.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			if o.unlisted.Load() {
				err := refusal(89506, fetchers.AddressRefused)
				err.Pause = day
				return fetchers.Token{}, err
			}
			return token("tok", 2*time.Hour), nil
		})
		exchange := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			if o.unlisted.Load() {
				return fetchers.Authorization{}, refusal(61004, fetchers.AddressRefused)
			}
			return exchange(ctx, parent, code)
		}
		c := p.catalog()
		for i := range offices {
			s := Spec{Name: account(i), Policy: policy.StableToken, Fetcher: o, Account: account(i), Owner: account(i)}
			if i == 0 {
				s.Fetcher = first
			}
			c[s.Name] = s
		}
		r := start(t, Config{Catalog: c})
		r.mustPush("ticket", time.Now())
		refused := func() {
			t.Helper()
			for i := range offices {
				_, _ = r.get(account(i))
			}
			_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
			mustReason(t, err, credential.Refused)
		}
		fix := func(o *office, i int) {
			t.Helper()
			o.unlisted.Store(false)
			if _, err := r.Refresh(t.Context(), account(i)); err != nil {
				t.Fatal(err)
			}
		}
		refused()
		fix(first, 0)
		time.Sleep(time.Second)
		refused()
		time.Sleep(time.Second)
		before := o.count()
		fix(o, 7)
		fix(o, 8)
		time.Sleep(liftEvery)
		for i := range offices {
			if _, ok := r.Cached([]byte(account(i))); !ok {
				t.Fatalf("%s is still held", account(i))
			}
		}
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
			t.Error(err)
		}
		if n := o.count() - before; n != offices-1 {
			t.Errorf("calls: got %d, want one for each", n)
		}
	})
}

// TestAddressListedForCustomers: customers' holds that are on disk alone end, too, and those in
// memory at the pace of customers.
func TestAddressListedForCustomers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 400
		var children []string
		for i := range many {
			children = append(children, fmt.Sprint("wx", i))
		}
		o, p := newOffice(), newPlatform(children...)
		p.token = &o.upstream
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
			_, err := r.get(customer(c, "access_token"))
			mustReason(t, err, credential.Refused)
		}
		lapsed := customer("wx0", "access_token")
		en := r.index.get(lapsed)
		en.mu.Lock()
		r.dropLocked(en, errChanged) // like a credential that nobody has asked for
		en.mu.Unlock()
		if !d.has(record.Holds, lapsed) {
			t.Fatal("the hold is not on disk")
		}
		o.unlisted.Store(false)
		before := o.count()
		if _, err := r.Refresh(t.Context(), customer("wx1", "access_token")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := o.count() - before; n > paceFloor+2 {
			t.Errorf("calls within a second: got %d, want %d at most", n, paceFloor)
		}
		r.mustGet(lapsed)
		for range 20 {
			r.mustPush(time.Now().String(), time.Now())
			time.Sleep(time.Second)
		}
		if n := o.count() - before; n != many {
			t.Errorf("calls: got %d, want one for each", n)
		}
	})
}

// TestAddressOnSomeLists: the successes of accounts that list the address do not make tokend
// call for those that do not.
func TestAddressOnSomeLists(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		never, flaky := newOffice(), newOffice()
		o.unlisted.Store(false)
		all := []Spec{{Name: "official_account/never/access_token", Policy: policy.StableToken, Fetcher: never}}
		for i := range offices {
			all = append(all, Spec{Name: account(i), Policy: policy.StableToken, Fetcher: o})
		}
		for i := range 5 {
			all = append(all, Spec{Name: fmt.Sprintf("official_account/flaky%d/access_token", i), Policy: policy.RotatingToken, Fetcher: flaky})
		}
		r := start(t, Config{Catalog: specs(all...)})
		calls := func() int {
			before := never.count()
			for range 3600 {
				for _, s := range all {
					_, _ = r.get(s.Name)
				}
				time.Sleep(time.Second)
			}
			return never.count() - before
		}
		if n := calls(); n > 13 {
			t.Errorf("calls in an hour, next to accounts that are listed: got %d, want one in five minutes", n)
		}
		// The address changes from call to call.
		flaky.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n%2 == 0 {
				return fetchers.Token{}, refusal(40164, fetchers.AddressRefused)
			}
			return token("tok", 10*time.Second), nil
		})
		before := never.count()
		for range 600 {
			_, _ = r.Refresh(t.Context(), "official_account/flaky0/access_token") // every other one succeeds
			time.Sleep(time.Second)
		}
		if n := never.count() - before; n > 11 {
			t.Errorf("calls in ten minutes, next to an account that is listed now and then: got %d, want one a minute at most", n)
		}
		flaky.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n%2 == 0 {
				return fetchers.Token{}, away()
			}
			return token("tok", 10*time.Second), nil
		})
		time.Sleep(10 * time.Minute) // none is refused for its address any more
		if n := calls(); n > 13 {
			t.Errorf("calls in an hour, next to accounts that fail now and then: got %d, want one in five minutes", n)
		}
	})
}
