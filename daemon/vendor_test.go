package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/catalog"
	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/inbox"
	"tokend/daemon/metrics"
	"tokend/daemon/page"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/store/memstore"
	"tokend/daemon/survey"
	"tokend/daemon/throttle"
	"tokend/fetchers"
	"tokend/fetchers/secret"

	"github.com/hashicorp/go-hclog"
)

// The errcodes of a third vendor.
const (
	vendorDeadToken = 7001
	vendorCrowded   = 7002
	vendorNo        = 7003
)

// vendor is a third vendor with a token, and coupons that are fetched with the token.
type vendor struct {
	*catalog.Catalog // of the others
	host             int

	mu      sync.Mutex
	tokens  int
	now     int // calls in flight
	most    int
	refuses int // the errcode of coupons; zero for none
}

var (
	vendorToken = &policy.Policy{Word: "vendor_token", Rotates: true, Lead: 30 * time.Minute,
		Budgets: []quota.Budget{{Word: "vendor", Calls: "fetches of tokens of a shop", Window: time.Hour, Limit: 50}}}
	vendorCoupon = &policy.Policy{Word: "vendor_coupon", Lead: time.Minute}
	vendorHost   = policy.Host{
		Name:    func() string { return "api.vendor.test" },
		Crowded: vendorCrowded,
		Faults:  &quota.Budget{Word: "vendor faults", Calls: "calls that the vendor refuses", Window: time.Hour, Limit: 40, Scope: quota.PerHost},
		Failing: 40,
	}
)

const (
	shop    = "vendor/shop1"
	coupons = 16
)

func coupon(i int) string { return fmt.Sprintf("%s/coupon%d", shop, i) }

// Lookup adds the vendor's names.
func (v *vendor) Lookup(name string) (refresh.Spec, error) {
	for s := range v.own {
		if s.Name == name {
			return *s, nil
		}
	}
	return v.Catalog.Lookup(name)
}

func (v *vendor) own(yield func(*refresh.Spec) bool) {
	s := refresh.Spec{Name: shop + "/token", Policy: vendorToken, Host: v.host, Account: shop, Owner: shop, Fetcher: fetchFunc(v.token)}
	if !yield(&s) {
		return
	}
	for i := range coupons {
		c := refresh.Spec{Name: coupon(i), Policy: vendorCoupon, Host: v.host, Account: shop, Owner: coupon(i), Parent: s.Name, Fetcher: fetchFunc(v.coupon)}
		if !yield(&c) {
			return
		}
	}
}

// Specs yields the vendor's specs after the others.
func (v *vendor) Specs() iter.Seq[*refresh.Spec] {
	return func(yield func(*refresh.Spec) bool) {
		for s := range v.Catalog.Specs() {
			if !yield(s) {
				return
			}
		}
		v.own(yield)
	}
}

// Names yields the names of Specs.
func (v *vendor) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for s := range v.Specs() {
			if !yield(s.Name) {
				return
			}
		}
	}
}

type fetchFunc func(ctx context.Context, ask fetchers.Ask) (fetchers.Token, error)

func (f fetchFunc) Fetch(ctx context.Context, ask fetchers.Ask) (fetchers.Token, error) {
	return f(ctx, ask)
}

func (v *vendor) token(context.Context, fetchers.Ask) (fetchers.Token, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens++
	return fetchers.Token{Value: secret.Text(fmt.Sprint("token", v.tokens)), ExpiresIn: 2 * time.Hour}, nil
}

// coupon accepts the newest token. The vendor's errcodes get their reactions here.
func (v *vendor) coupon(_ context.Context, ask fetchers.Ask) (fetchers.Token, error) {
	v.mu.Lock()
	v.now++
	v.most = max(v.most, v.now)
	code, dead := v.refuses, ask.Parent != secret.Text(fmt.Sprint("token", v.tokens))
	v.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	v.mu.Lock()
	v.now--
	v.mu.Unlock()
	refused := func(code int, r fetchers.Reaction) (fetchers.Token, error) {
		return fetchers.Token{}, &fetchers.APIError{Endpoint: "/coupon", Code: code, Msg: "no", Reaction: r}
	}
	switch {
	case dead:
		return refused(vendorDeadToken, fetchers.ParentDead)
	case code == vendorCrowded:
		return refused(code, fetchers.Retry)
	case code != 0:
		return refused(code, fetchers.Misconfigured)
	}
	return fetchers.Token{Value: "coupon", ExpiresIn: time.Hour}, nil
}

// sell returns an engine with the vendor and the accounts of a configuration, and a function that
// stops it.
func sell(t *testing.T, file *config.Config) (v *vendor, of view, stop func()) {
	t.Helper()
	calls := catalog.NewCalls()
	up := catalog.NewUpstream(file.Upstream, 8, calls, hclog.NewNullLogger())
	hosts := append(catalog.Hosts(func() *catalog.Upstream { return up }), vendorHost)
	v = &vendor{Catalog: catalog.New(file, up, nil), host: len(hosts) - 1}
	e, err := refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: v, Hosts: hosts, Calls: 8})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return v, view{e, &Daemon{calls: calls, inbox: inbox.New(inbox.Config{Engine: e})}}, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		up.Close()
	}
}

// kill replaces the token by a token that tokend does not know.
func (v *vendor) kill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens++
}

// answer makes the vendor refuse calls for coupons with code; zero for success. It returns the
// maximum number of concurrent calls until then.
func (v *vendor) answer(code int) (most int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	most, v.refuses, v.most = v.most, code, 0
	return most
}

// TestThirdVendor: a vendor with its own host, policies and errcodes needs values in the catalog
// only. A token that the vendor calls dead is replaced once.
func TestThirdVendor(t *testing.T) {
	s := newSite(t)
	v, of, stop := sell(t, s.config(accountsTOML))
	defer stop()
	srv := server.New(server.Config{Engine: of, Inbox: of.daemon.inbox})
	ln, err := net.Listen("unix", filepath.Join(s.dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ctx, ln) })
	defer serving.Wait()
	defer cancel()

	get := func(name, want string) {
		t.Helper()
		if c, err := s.client.Get(t.Context(), name); err != nil || want != "" && string(c.Value) != want {
			t.Errorf("GET %s: got %v, want %s", name, err, want)
		}
	}
	get(coupon(0), "coupon")
	v.kill()
	get(coupon(1), "coupon")
	get(shop+"/token", "token3")
	get("work/wwcorp/1/access_token", "")
	st := s.status(shop + "/token")
	next, err := time.Parse(time.RFC3339, st["next_refresh"])
	if left := time.Until(next); err != nil || st["kind"] != "vendor_token" || st["host"] != "api.vendor.test" || left < 85*time.Minute || left > 91*time.Minute {
		t.Errorf("STATUS: got %v, want the vendor's host and a refresh half an hour before the end", st)
	}
}

// engineSource is an engine alone for the status page.
type engineSource struct{ *refresh.Engine }

func (s engineSource) Look(ctx context.Context) survey.Survey {
	w := s.Walk(ctx)
	return survey.Survey{At: time.Now(), Summaries: w.Summaries, Rest: w.Rest, Census: s.Census()}
}

func (s engineSource) Quotas(context.Context) []credential.Quota { return s.Engine.Quotas() }
func (s engineSource) User(uint32) string                        { return "" }
func (s engineSource) Begin(context.Context) *throttle.Work      { return nil }

// TestThirdVendorLimits: the vendor's errcode for too many calls and its limit of refused calls
// apply to its host. Metrics and the status page show them.
func TestThirdVendorLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, err := config.Parse("test.toml", []byte(accountsTOML), config.OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		v, e, stop := sell(t, file)
		defer stop()
		get := func(from, to int, want bool) {
			t.Helper()
			var all sync.WaitGroup
			for i := from; i < to; i++ {
				all.Go(func() {
					if _, err := e.Get(t.Context(), coupon(i)); (err == nil) != want {
						t.Errorf("%s: got %v", coupon(i), err)
					}
				})
			}
			all.Wait()
		}
		get(0, 6, true)
		if n := v.answer(vendorCrowded); n != 4 {
			t.Errorf("calls at once: got %d, want half of 8 for one owner", n)
		}
		get(6, 8, false)
		v.answer(0)
		get(8, 12, true)
		if n := v.answer(vendorNo); n != 1 {
			t.Errorf("calls at once after an answer that there are too many: got %d, want half of 2", n)
		}
		get(12, coupons, false)
		for i := range 3 * coupons {
			_, err = e.Refresh(t.Context(), coupon(i%12))
		}
		if of, ok := errors.AsType[*credential.Error](err); !ok || of.Reason != credential.Limited || !strings.Contains(of.Message, "40 calls that the vendor refuses") {
			t.Errorf("after forty refused calls: got %v, want LIMITED", err)
		}

		var metric bytes.Buffer
		write, err := metrics.New(func(ctx context.Context) survey.Survey {
			w := e.Walk(ctx)
			return survey.Survey{Named: true, Summaries: w.Summaries, Asked: w.Asked, EachQuota: w.Quotas, Rest: w.Rest, Census: e.Census()}
		}).Scrape(t.Context())
		if err == nil {
			err = write(&metric)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, html := page.New(engineSource{e.Engine}).Show(t.Context(), page.Ask{Values: url.Values{"family": {"vendor"}}})
		for _, want := range []string{`name="vendor/shop1/coupon0"`, `kind="vendor_token"`, `budget="vendor"`, `budget="vendor faults"`, `errcode="7003"`} {
			if !strings.Contains(metric.String(), want) {
				t.Errorf("the metrics lack %s", want)
			}
		}
		for _, want := range []string{"shop1", "coupon0", "vendor faults", "errcode=7003"} {
			if !bytes.Contains(html, []byte(want)) {
				t.Errorf("the page lacks %s", want)
			}
		}
	})
}
