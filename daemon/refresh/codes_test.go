package refresh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// counted counts the calls of p's exchange, and lets them fail while fails says so.
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
	without := specs(Spec{Name: app, Kind: StableToken, Fetcher: fresh(2 * time.Hour)})
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

// TestCodeRecordGoesWithItsCode: an event and an EXCHANGE of one code, in whatever order their writes and calls end.
func TestCodeRecordGoesWithItsCode(t *testing.T) {
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

// TestExchangedCodeRemembered: for an hour, over restarts, whoever comes with the code.
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

// TestRecordOfExchangedCode: a kill between a code's promise and its exchange by another leaves both records.
func TestRecordOfExchangedCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := p.counted(nil)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		code, _ := d.Get(record.Codes, r.mark.code(platform, "code-of-wxa"))
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
		}
		for i := range codesKnown + 10 {
			exchange(i)
		}
		if n := d.count(t, record.Exchanged); n != codesKnown {
			t.Errorf("remembered: got %d, want %d", n, codesKnown)
		}
		if d.has(record.Exchanged, r.mark.code(platform, "code-of-wx0")) || !d.has(record.Exchanged, r.mark.code(platform, secret.Text(fmt.Sprintf("code-of-wx%d", codesKnown+9)))) {
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
	})
}

// TestQuotaOfExchanges: one hold for all codes of an owner, and none of them is given up unheard.
func TestQuotaOfExchanges(t *testing.T) {
	spent := refusal(45009, fetchers.QuotaMinute)
	t.Run("exchanges", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			var answers atomic.Bool
			calls := p.counted(func() error {
				if !answers.Load() {
					return spent
				}
				return nil
			})
			d := newDisk()
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 500 {
				_, err := r.Exchange(t.Context(), platform, secret.Text(fmt.Sprint("code-", i)))
				of := mustReason(t, err, Limited)
				if of.RetryAfter <= 0 || of.RetryAfter > time.Minute || of.Message != spent.Error() {
					t.Fatalf("told %q, %v", of.Message, of.RetryAfter)
				}
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
			_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
			mustReason(t, err, Limited)
			if calls() != 1 {
				t.Errorf("calls: got %d, want 1", calls())
			}
			answers.Store(true)
			time.Sleep(2 * time.Minute)
			if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
				t.Error(err)
			}
			if d.has(record.Holds, platform+exchanges) {
				t.Error("the hold is still on disk")
			}
		})
	})
	t.Run("pushed codes", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			until := time.Now().Add(50 * time.Minute)
			calls := p.counted(func() error {
				time.Sleep(100 * time.Millisecond)
				if time.Now().Before(until) {
					return spent
				}
				return nil
			})
			var opened time.Time // the first answer
			p.exchange = func(inner exchangeFunc) exchangeFunc {
				return func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
					auth, err := inner(ctx, parent, code)
					if err == nil && opened.IsZero() {
						opened = time.Now()
					}
					if err == nil && time.Since(opened) > 5*time.Second {
						t.Errorf("%s after the first", time.Since(opened))
					}
					return auth, err
				}
			}(p.exchange)
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 200 {
				child := fmt.Sprint("wx", i)
				r.mustAccept(child, "code-of-"+child, time.Hour)
			}
			time.Sleep(49 * time.Minute)
			if n := calls(); n > 3*outletCalls {
				t.Errorf("calls in 49 minutes: got %d", n)
			}
			time.Sleep(11*time.Minute + 10*time.Second)
			for i := range 200 {
				if _, err := r.grants.live(customer(fmt.Sprint("wx", i), "refresh_token")); err != nil {
					t.Fatalf("customer %d: %v", i, err)
				}
			}
		})
	})
	t.Run("a hold longer than the code", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			var answers atomic.Bool
			calls := p.counted(func() error {
				if !answers.Load() {
					return &fetchers.APIError{Code: 61004, Reaction: fetchers.AddressRefused, Pause: 5 * time.Hour}
				}
				return nil
			})
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 20 {
				child := fmt.Sprint("wx", i)
				r.mustAccept(child, "code-of-"+child, time.Hour)
			}
			r.mustAccept("wxz", "code-of-wxz", 3*time.Hour)
			time.Sleep(30 * time.Minute)
			answers.Store(true)
			time.Sleep(31 * time.Minute)
			if _, err := r.grants.live(customer("wxz", "refresh_token")); err != nil {
				t.Errorf("a code that has time, after another was exchanged: %v", err)
			}
			for i := range 20 {
				if _, err := r.grants.live(customer(fmt.Sprint("wx", i), "refresh_token")); err != nil {
					t.Fatalf("customer %d: %v", i, err)
				}
			}
			if n := calls(); n > 21+outletCalls+1 {
				t.Errorf("calls: got %d", n)
			}
		})
	})
}

// TestHeldCodeAnswersAtOnce: with its hold's error and seconds, to whoever comes with the code or asks for the customer.
func TestHeldCodeAnswersAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		err     error // of the exchange
		parent  error // of the parent
		want    Reason
		restart bool
	}{
		{"quota", refusal(45009, fetchers.QuotaMinute), nil, Limited, false},
		{"quota after a restart", refusal(45009, fetchers.QuotaMinute), nil, Limited, true},
		{"address", refusal(61004, fetchers.AddressRefused), nil, Refused, false},
		{"unreachable", away(), nil, Unreachable, false},
		{"unreachable after a restart", away(), nil, Unreachable, true},
		{"parent", nil, refusal(40125, fetchers.Misconfigured), Refused, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.counted(func() error { return tc.err })
				if tc.parent != nil {
					p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, tc.parent })
				}
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustAccept("wxa", "code-of-wxa", time.Hour)
				synctest.Wait()
				time.Sleep(300 * time.Millisecond)
				if tc.restart {
					r.stop()
					r = start(t, Config{Store: d, Catalog: p.catalog()})
					synctest.Wait()
				}
				began := time.Now()
				_, exchanged := r.Exchange(t.Context(), platform, "code-of-wxa")
				of := mustReason(t, exchanged, tc.want)
				for _, word := range []string{"access_token", "jsapi_ticket"} {
					_, got := r.get(customer("wxa", word))
					if as := mustReason(t, got, tc.want); as.Message != of.Message || as.RetryAfter != of.RetryAfter || of.RetryAfter <= 0 {
						t.Errorf("%s: told %q, %v; EXCHANGE %q, %v", word, as.Message, as.RetryAfter, of.Message, of.RetryAfter)
					}
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("answered after %s", took)
				}
				time.Sleep(of.RetryAfter / 2)
				if _, again := r.Exchange(t.Context(), platform, "code-of-wxa"); tc.parent == nil && mustReason(t, again, tc.want).RetryAfter > of.RetryAfter {
					t.Error("the seconds do not run down")
				}
			})
		})
	}
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
		mustReason(t, err, Limited)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err = r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
	})
}

// TestResumeBesideAccept: a code whose record is met on disk before Accept has returned is not one of an earlier run, and
// does not wait as such.
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
			if of := mustReason(t, err, Refused); of.RetryAfter != Never || of.Message != refused.Error() {
				t.Errorf("told %q, %v", of.Message, of.RetryAfter)
			}
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
		if calls() != 1 || d.count(t, record.Codes)+d.count(t, record.Exchanged)+d.count(t, record.Grants) != 0 {
			t.Errorf("%d calls, on disk: %d codes, %d exchanged, %d grants", calls(), d.count(t, record.Codes), d.count(t, record.Exchanged), d.count(t, record.Grants))
		}
	})
}
