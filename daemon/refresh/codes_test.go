package refresh

import (
	"context"
	"fmt"
	"sync"
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

// counted counts the calls of p's exchange, and lets them fail while fails is set.
func (p *platformOf) counted(fails func() error) (calls func() int) {
	var mu sync.Mutex
	n, inner := 0, p.exchange
	p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
		mu.Lock()
		n++
		mu.Unlock()
		if fails != nil {
			if err := fails(); err != nil {
				return fetchers.Authorization{}, err
			}
		}
		return inner(ctx, parent, code)
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func (r *rig) mustAccept(child, code string, life time.Duration) {
	r.t.Helper()
	if err := r.AcceptFrom(r.t.Context(), platform, child, secret.Text(code), time.Now(), time.Now().Add(life)); err != nil {
		r.t.Fatal(err)
	}
}

func TestReloadResumesCodes(t *testing.T) {
	without := specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)})
	for _, how := range []string{"absent at the start", "taken out and put back"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				calls := p.counted(nil)
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustAccept("", "code-of-wxa", time.Hour)
				synctest.Wait()
				if how == "absent at the start" {
					r.stop()
					r = start(t, Config{Store: d, Catalog: without})
				} else {
					r.SetCatalog(without)
				}
				time.Sleep(10 * time.Minute)
				if calls() != 0 {
					t.Error("exchanged without an owner")
				}
				r.SetCatalog(p.catalog())
				r.mustPush("ticket", time.Now())
				time.Sleep(time.Minute)
				if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" || calls() != 1 {
					t.Errorf("got %s after %d calls", got, calls())
				}
				if n := d.count(t, record.Codes); n != 0 {
					t.Errorf("codes on disk: %d", n)
				}
			})
		})
	}
}

// TestCodeRecordDeleted: an event and an EXCHANGE of one code, in whatever order their
// writes and calls end.
func TestCodeRecordDeleted(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fails error // of the call
		calls int
	}{
		{"exchanged", nil, 1},
		{"refused", refusal(61009, fetchers.CodeRefused), 1},
		{"unreachable", away(), 0},
	} {
		for i := range 12 {
			wait, write := i%6, 1+i/6*4 // seconds after which the EXCHANGE comes, and that a write takes
			t.Run(fmt.Sprintf("%s after %d s, writes of %d s", tc.name, wait, write), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := newPlatform("wxa")
					calls := p.counted(func() error { time.Sleep(2 * time.Second); return tc.fails })
					d := &slowCodes{disk: newDisk()}
					r := start(t, Config{Store: d, Catalog: p.catalog()})
					r.mustPush("ticket", time.Now())
					r.mustGet(component)
					d.delay.Store(int64(time.Duration(write) * time.Second))
					var wg sync.WaitGroup
					for range 2 {
						wg.Go(func() {
							if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
								t.Error(err)
							}
						})
					}
					wg.Go(func() {
						time.Sleep(time.Duration(wait) * time.Second)
						_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
						if (err == nil) != (tc.fails == nil) {
							t.Errorf("Exchange: %v", err)
						}
					})
					wg.Wait()
					time.Sleep(20 * time.Second)
					synctest.Wait()
					left := 0
					if tc.calls == 0 {
						left = 1 // it is tried on
					} else if calls() != tc.calls {
						t.Errorf("calls: got %d", calls())
					}
					if n := d.count(t, record.Codes); n != left {
						t.Errorf("codes on disk: got %d, want %d", n, left)
					}
					n := calls()
					r.stop()
					r = start(t, Config{Store: d.disk, Catalog: p.catalog()})
					time.Sleep(2 * time.Minute)
					if again := calls() - n; (again > 0) != (left > 0) {
						t.Errorf("calls after a restart: %d", again)
					}
				})
			})
		}
	}
}

// slowCodes is a disk that takes its time to write codes.
type slowCodes struct {
	*disk
	delay atomic.Int64 // nanoseconds
}

func (s *slowCodes) Put(ctx context.Context, recs ...record.Record) error {
	for _, r := range recs {
		if r.Table == record.Codes && r.Value != nil {
			time.Sleep(time.Duration(s.delay.Load()))
			break
		}
	}
	return s.disk.Put(ctx, recs...)
}

// TestExchangedCodeRemembered: for an hour and over restarts, for every client.
func TestExchangedCodeRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := p.counted(nil)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		exchange := func() {
			t.Helper()
			if name, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil || name != platform+"/wxa" {
				t.Errorf("got %q, %v", name, err)
			}
		}
		exchange()
		for _, after := range []time.Duration{0, 58 * time.Minute} {
			time.Sleep(after)
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
			exchange()
			r.mustAccept("wxa", "code-of-wxa", time.Hour)
			if calls() != 1 {
				t.Fatalf("calls: got %d", calls())
			}
		}
		if n := d.count(t, record.Codes); n != 0 {
			t.Errorf("codes on disk: %d", n)
		}
		r.stop()
		time.Sleep(5 * time.Minute)
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		if n := d.count(t, record.Exchanged); n != 0 {
			t.Errorf("remembered after more than an hour: %d", n)
		}
		exchange() // WeChat would refuse it; here it does not
		if calls() != 2 {
			t.Errorf("calls: got %d", calls())
		}
	})
}

// TestRecordOfExchangedCode: a kill between a code's promise and its exchange by another leaves
// both records.
func TestRecordOfExchangedCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := p.counted(nil)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		code, _ := d.Get(record.Codes, r.fingerprints.code(platform, "code-of-wxa"))
		r.mustPush("ticket", time.Now())
		time.Sleep(time.Minute)
		r.stop()
		if err := d.Put(t.Context(), code); err != nil {
			t.Fatal(err)
		}
		start(t, Config{Store: d, Catalog: p.catalog()})
		time.Sleep(time.Minute)
		if n := d.count(t, record.Codes); n != 0 || calls() != 1 {
			t.Errorf("codes on disk: %d, calls: %d", n, calls())
		}
	})
}

// TestExchangedCodesBounded: those that are too many or too old go, oldest first.
func TestExchangedCodesBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		exchange := func(i int) {
			t.Helper()
			if _, err := r.Exchange(t.Context(), platform, secret.Text(fmt.Sprintf("code-of-wx%d", i))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // older ones are deleted afterwards
		}
		for i := range codesKnown + 10 {
			exchange(i)
		}
		if n := d.count(t, record.Exchanged); n != codesKnown {
			t.Errorf("remembered: got %d, want %d", n, codesKnown)
		}
		if d.has(record.Exchanged, r.fingerprints.code(platform, "code-of-wx0")) || !d.has(record.Exchanged, r.fingerprints.code(platform, secret.Text(fmt.Sprintf("code-of-wx%d", codesKnown+9)))) {
			t.Error("not the oldest went")
		}
		for r := range d.All(record.Exchanged) {
			if len(r.Key) != 32 {
				t.Fatalf("key %q", r.Key)
			}
		}
		time.Sleep(2 * spentFor)
		exchange(codesKnown + 10)
		if n := d.count(t, record.Exchanged); n != 1 {
			t.Errorf("remembered after two hours: got %d, want 1", n)
		}
		if n := len(r.codes.known); n != 1 {
			t.Errorf("known after two hours: got %d, want 1", n)
		}
	})
}

// TestRevocationOutranksHeldCode: a code that is older than the revocation brings nothing back.
func TestRevocationOutranksHeldCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.counted(func() error { return refusal(45009, fetchers.QuotaMinute) })
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		time.Sleep(time.Second)
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Limited)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err = r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
	})
}

// TestResumeBesideAccept: a code whose record is met on disk before Accept has returned is not one
// of an earlier run, and does not wait as such.
func TestResumeBesideAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := &lateDisk{disk: newDisk(), gate: make(chan struct{}), table: record.Codes}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		began := time.Now()
		accepted := make(chan error)
		go func() {
			accepted <- r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour))
		}()
		synctest.Wait()
		r.resume()
		close(d.gate)
		if err := <-accepted; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" || time.Since(began) > 0 {
			t.Errorf("got %s after %s", got, time.Since(began))
		}
		if n := d.count(t, record.Codes); n != 0 {
			t.Errorf("codes on disk: %d", n)
		}
	})
}

// lateDisk is a disk on which what there is of a table is written some time before Put returns.
type lateDisk struct {
	*disk
	gate  chan struct{}
	table record.Table
}

func (l *lateDisk) Put(ctx context.Context, recs ...record.Record) error {
	err := l.disk.Put(ctx, recs...)
	for _, r := range recs {
		if r.Table == l.table && r.Value != nil {
			<-l.gate
			break
		}
	}
	return err
}

// TestCodeWithoutGrant: WeChat has spent the code and given nothing for it.
func TestCodeWithoutGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		refused := &fetchers.APIError{Msg: "no API permissions", Reaction: fetchers.CodeRefused}
		calls := p.counted(func() error { return refused })
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		for range 3 {
			time.Sleep(10 * time.Minute)
			r.mustAccept("wxa", "code-of-wxa", time.Hour)
			_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
			if of := mustReason(t, err, credential.Refused); of.RetryAfter != credential.Never || of.Message != refused.Error() {
				t.Errorf("told %q, %v", of.Message, of.RetryAfter)
			}
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
		if calls() != 1 || d.count(t, record.Codes)+d.count(t, record.Exchanged)+d.count(t, record.Grants) != 0 {
			t.Errorf("%d calls, on disk: %d codes, %d exchanged, %d grants", calls(), d.count(t, record.Codes), d.count(t, record.Exchanged), d.count(t, record.Grants))
		}
	})
}

// TestTwoCodesOfOneCustomer: while one code waits, GET returns its reason, whatever the result of
// the other code.
func TestTwoCodesOfOneCustomer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
			if code == "bad" {
				return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
			}
			return fetchers.Authorization{}, away()
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		r.mustAccept("wxa", "good", time.Hour)
		time.Sleep(40 * time.Second)
		r.mustAccept("wxa", "bad", time.Hour)
		synctest.Wait()
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Unreachable)
		time.Sleep(2 * time.Hour)
		_, err = r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
		if len(r.codes.coming) != 0 {
			t.Error("still expected")
		}
	})
}

// TestRefusedCodesPushOutNone: codes that WeChat refuses, which anybody can make up, cost no
// exchanged code its place.
func TestRefusedCodesPushOutNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		calls := p.counted(nil)
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		exchange := func(prefix string, n int) {
			for i := range n {
				_, _ = r.Exchange(t.Context(), platform, secret.Text(fmt.Sprint(prefix, i)))
			}
		}
		exchange("code-of-wx", 50)
		exchange("made-up-", codesKnown+500)
		n := calls()
		exchange("code-of-wx", 50)
		if calls() != n || len(r.codes.known) > codesKnown {
			t.Errorf("%d exchanged codes were forgotten, %d are known", calls()-n, len(r.codes.known))
		}
	})
}
