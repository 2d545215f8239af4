package refresh

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
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

// deaf is a disk that can refuse reads too, as a database does that is being reopened.
type deaf struct {
	*disk
	err atomic.Pointer[error]
}

func (d *deaf) Get(table record.Table, key string) (record.Record, error) {
	if err := d.err.Load(); err != nil {
		return record.Record{Table: table, Key: key}, *err
	}
	return d.disk.Get(table, key)
}

func (d *deaf) GetEach(table record.Table, keys []string) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for _, key := range keys {
			if !yield(d.Get(table, key)) {
				return
			}
		}
	}
}

// refuseReads makes every Get fail with err, until it is nil.
func (d *deaf) refuseReads(err error) {
	if err == nil {
		d.err.Store(nil)
		return
	}
	d.err.Store(&err)
}

// errPath is what a disk says, with a path that is nobody's business.
var errPath = &os.PathError{Op: "open", Path: "/var/lib/tokend/000001.vlog", Err: errors.New("input/output error")}

func TestExchangeOnRefusingDisk(t *testing.T) {
	for _, reads := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			d := &deaf{disk: newDisk()}
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			r.mustGet(component)
			refuse := func(err error) {
				d.fail(err)
				if !reads {
					d.refuseReads(err)
				}
			}
			refuse(errPath)
			for range 2 { // another request does not use the code up again
				_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
				if of, ok := errors.AsType[*credential.Error](err); err == nil || ok && of.Reason != credential.Internal {
					t.Errorf("reads %v: got %v, want a fault of the daemon's own", reads, err)
				}
			}
			if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
				t.Errorf("reads %v: got %s", reads, got)
			}
			for _, word := range []string{"access_token", "refresh_token"} {
				if s, err := r.Status(customer("wxa", word)); err != nil || s.Durable {
					t.Errorf("reads %v: status of %s: durable %v, %v", reads, word, s.Durable, err)
				}
			}
			synctest.Wait() // the log has it after those who wait have their answer
			if !strings.Contains(r.log(), "a customer's grant cannot be written") {
				t.Errorf("reads %v: not a word in the log", reads)
			}
			time.Sleep(time.Minute)
			refuse(nil)
			time.Sleep(2 * saveEvery)
			synctest.Wait()
			if name, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil || name != platform+"/wxa" {
				t.Errorf("reads %v: when the disk is well: %q, %v", reads, name, err)
			}
			r2 := start(t, Config{Store: d, Catalog: p.catalog()}) // after a kill
			if g, err := r2.grants.live(customer("wxa", "refresh_token")); err != nil || g.Value != "refresh-of-wxa" {
				t.Errorf("reads %v: after a kill: %v, %v", reads, g.Source, err)
			}
			if got := r2.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
				t.Errorf("reads %v: after a kill: got %s", reads, got)
			}
		})
	}
}

func TestPromisedCodeOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			d.fail(errPath)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		accept := func() error {
			return r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour))
		}
		if err := accept(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
		if err := accept(); err == nil {
			t.Error("a repetition is acknowledged, and the grant is not on disk")
		}
		d.fail(nil)
		if err := accept(); err != nil {
			t.Errorf("a repetition when the disk is well: %v", err)
		}
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		if g, err := r2.grants.live(customer("wxa", "refresh_token")); err != nil || g.Value != "refresh-of-wxa" || g.Source != "event" {
			t.Errorf("after a kill: source %q, %v", g.Source, err)
		}
		if d.has(record.Codes, r.fingerprints.code(platform, "code-of-wxa")) {
			t.Error("the code is still on disk")
		}
	})
}

func TestReadOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := &deaf{disk: newDisk()}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		name := customer("wxa", "access_token")
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustGet(name)
		time.Sleep(time.Hour)
		r.mustGet(name)
		d.refuseReads(errPath)
		time.Sleep(time.Hour)
		_, err := r.get(name)
		of, ok := errors.AsType[*credential.Error](err)
		if !ok || of.Reason != credential.Internal || strings.Contains(of.Message, "/") {
			t.Errorf("got %v, want a fault of the daemon's own, and nothing of a path", err)
		}
		if s, _ := r.Status(name); strings.Contains(s.LastError, "/var") {
			t.Errorf("status: %s", s.LastError)
		}
		if !strings.Contains(r.log(), errPath.Path) {
			t.Error("the log does not say what happened")
		}
		d.refuseReads(nil)
		time.Sleep(time.Minute)
		r.mustGet(name)
	})
}

// TestRepeatedPutDurable: a grant that the disk has refused is in force, and
// putting it again promises more than that.
func TestRepeatedPutDurable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		d.fail(errPath)
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err == nil {
			t.Fatal("Exchange: got nil")
		}
		grant := customer("wxa", "refresh_token")
		if err := r.Put(t.Context(), grant, "refresh-of-wxa"); err == nil {
			t.Error("Put on a disk that refuses: got nil")
		}
		d.fail(nil)
		if err := r.Put(t.Context(), grant, "refresh-of-wxa"); err != nil {
			t.Error(err)
		}
		if s, err := r.Status(grant); err != nil || !s.Durable {
			t.Errorf("status: durable %v, %v", s.Durable, err)
		}
		kept, err := d.Get(record.Grants, grant)
		if g, derr := record.DecodeGrant(kept); err != nil || derr != nil || g.Value != "refresh-of-wxa" {
			t.Errorf("on disk: %v, %v, %v", g.Source, err, derr)
		}
	})
}

func TestDurableThenVisible(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(time.Hour)})})
		d.gate = make(chan struct{})
		got := make(chan string)
		go func() { got <- r.mustGet(app) }()
		time.Sleep(time.Hour / 2)
		select {
		case <-got:
			t.Error("a value was answered before it was on disk")
		default:
		}
		if _, ok := r.Cached([]byte(app)); ok {
			t.Error("a value was visible before it was on disk")
		}
		close(d.gate)
		<-got
	})
}

func TestTokensOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		d.fail(errors.New("no space left"))
		r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: fresh(time.Hour)})})
		r.mustGet(app)
		if s, _ := r.Status(app); s.Durable {
			t.Error("Durable: got true, want false")
		}
		undurable := func() (n int64) {
			for _, s := range r.Stats() {
				if s.Key == "undurable" {
					n = s.Value
				}
			}
			return n
		}
		if n := undurable(); n != 1 {
			t.Errorf("undurable: got %d, want 1", n)
		}
		time.Sleep(time.Minute)
		d.fail(nil)
		time.Sleep(saveEvery + time.Second)
		synctest.Wait()
		if s, _ := r.Status(app); !s.Durable {
			t.Error("Durable: got false, want true")
		}
		if n := undurable(); n != 0 {
			t.Errorf("undurable on a disk that is well again: got %d, want 0", n)
		}
		if !d.has(record.Credentials, app) {
			t.Error("the value is not on disk")
		}
	})
}

// TestTicketOnRefusingDisk: a suite ticket lives for half an hour, and nobody
// can ask for the next.
func TestTicketOnRefusingDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		tokens := &upstream{answer: func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Parent == "" {
				t.Error("asked without a ticket")
			}
			return token(fmt.Sprintf("tok-%d", n), 10*time.Minute), nil
		}}
		all := specs(Spec{Name: suiteTicket, Policy: policy.SuiteTicket}, Spec{Name: suiteToken, Policy: policy.SuiteToken, Parent: suiteTicket, Fetcher: tokens})
		r := start(t, Config{Store: d, Catalog: all})
		push := func(n int, at time.Time) error {
			return r.Push(t.Context(), suiteTicket, secret.Text(fmt.Sprint("ticket-", n)), at)
		}
		if err := push(0, time.Now()); err != nil {
			t.Fatal(err)
		}
		d.fail(errPath)
		var last time.Time
		for n := 1; n <= 18; n++ { // three hours
			last = time.Now()
			for range 2 { // WeChat sends it again
				if err := push(n, last); err == nil {
					t.Fatal("acknowledged, and not on disk")
				}
			}
			for range 10 {
				r.mustGet(suiteToken)
				time.Sleep(time.Minute)
			}
			if got := r.mustGet(suiteTicket); got != fmt.Sprint("ticket-", n) {
				t.Fatalf("in force: %s", got)
			}
			if s, _ := r.Status(suiteTicket); s.Durable {
				t.Fatal("STATUS says that it is durable")
			}
		}
		d.fail(nil)
		if err := push(18, last); err != nil {
			t.Errorf("sent again when the disk is well: %v", err)
		}
		if s, _ := r.Status(suiteTicket); !s.Durable {
			t.Error("STATUS says that it is not durable")
		}
		d.fail(errPath)
		_ = push(19, time.Now())
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		synctest.Wait()
		r2 := start(t, Config{Store: d, Catalog: all}) // after a kill
		if got := r2.mustGet(suiteTicket); got != "ticket-19" {
			t.Errorf("after a kill: %s", got)
		}
	})
}

func TestManyRefusedGrantsFewLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 200 {
			children = append(children, fmt.Sprint("wx", i))
		}
		p := newPlatform(children...)
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		d.fail(errPath)
		for _, c := range children {
			if _, err := r.Exchange(t.Context(), platform, secret.Text("code-of-"+c)); err == nil {
				t.Fatal("Exchange: got nil")
			}
		}
		synctest.Wait() // the log has it after those who wait have their answer
		said := strings.Count(r.log(), "\n")
		time.Sleep(time.Minute)
		synctest.Wait()
		if more := strings.Count(r.log(), "\n") - said; more > int(2*time.Minute/saveEvery) {
			t.Errorf("lines of a minute: got %d", more)
		}
		if !strings.Contains(r.log(), "grants=200") {
			t.Error("the log does not say how many")
		}
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		synctest.Wait()
		if names := r.grants.refused(); len(names) > 0 {
			t.Errorf("not on disk: %d", len(names))
		}
	})
}

// TestRefusedDeletionRepeated: no record of a settled code is left behind when the disk takes
// writes again.
func TestRefusedDeletionRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		calls := p.counted(func() error {
			d.fail(errPath)
			return refusal(61009, fetchers.CodeRefused)
		})
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		time.Sleep(3 * saveEvery)
		if n := d.count(t, record.Codes); n != 1 {
			t.Fatalf("codes on disk: %d", n)
		}
		d.fail(nil)
		time.Sleep(2 * saveEvery)
		if n := d.count(t, record.Codes); n != 0 || calls() != 1 {
			t.Errorf("%d codes on disk, %d calls", n, calls())
		}
	})
}
