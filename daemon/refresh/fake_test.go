package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/daemon/store/memstore"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// upstream is WeChat as the engine's tests need it: a function per credential, and a
// count of what was asked.
type upstream struct {
	mu     sync.Mutex
	answer func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error)
	calls  int
	now    int
	most   int
	times  []time.Time
}

func (u *upstream) Fetch(ctx context.Context, ask fetchers.Ask) (fetchers.Token, error) {
	u.mu.Lock()
	u.calls++
	n := u.calls
	u.now++
	u.most = max(u.most, u.now)
	u.times = append(u.times, time.Now())
	answer := u.answer
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.now--
		u.mu.Unlock()
	}()
	return answer(ctx, ask, n)
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls
}

// atOnce returns how many calls were under way at once, at most.
func (u *upstream) atOnce() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.most
}

// within returns how many calls were made within one window, where most were.
func (u *upstream) within(window time.Duration) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return busiest(u.times, window)
}

func (u *upstream) answers(f func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = f
}

func token(value string, life time.Duration) fetchers.Token {
	return fetchers.Token{Value: secret.Text(value), ExpiresIn: life}
}

// fresh answers a new value each time.
func fresh(life time.Duration) *upstream {
	return &upstream{answer: func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
		return token(fmt.Sprintf("tok-%d", n), life), nil
	}}
}

func refusal(code int, r fetchers.Reaction) *fetchers.APIError {
	return &fetchers.APIError{Endpoint: "/cgi-bin/token", Code: code, Msg: "no", Reaction: r}
}

func away() error {
	return &fetchers.TransportError{Endpoint: "/cgi-bin/token", Err: errors.New("connection refused")}
}

// The hosts of an engine.
const (
	oneHost = iota
	otherHost
)

var bothHosts = []policy.Host{oneHost: policy.Weixin, otherHost: policy.WeCom}

// preAuthCodes is how many calls an hour there are for what is fetched for each request.
var preAuthCodes = policy.PreAuthCode.Budgets[0].Limit

// catalog is a fixed set of specs.
type catalog map[string]Spec

// host returns where the calls of s go.
func (c catalog) host(s Spec) int {
	switch s.Policy {
	case policy.PreAuthCode:
		if parent, ok := c[s.Parent]; ok {
			return c.host(parent)
		}
	case policy.CorpToken, policy.CorpTicket, policy.DownstreamToken, policy.ProviderToken, policy.SuiteToken, policy.AuthCorpToken, policy.AuthCorpTicket:
		return otherHost
	}
	return oneHost
}

func (c catalog) Lookup(name string) (Spec, error) {
	if s, ok := c[name]; ok {
		s.Host = c.host(s)
		return s, nil
	}
	return Spec{}, &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "no such credential"}
}

func (c catalog) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name, s := range c {
			if _, ok := s.Fetcher.(way); !ok && s.Grant == "" && !s.Policy.Grant && !yield(name) {
				return
			}
		}
	}
}

func (c catalog) Specs() iter.Seq[*Spec] {
	return func(yield func(*Spec) bool) {
		for _, name := range slices.Sorted(c.Names()) {
			s := c[name]
			s.Host = c.host(s)
			if !yield(&s) {
				return
			}
		}
	}
}

func (c catalog) Pushed() []string {
	var names []string
	for name, s := range c {
		if s.Policy != nil && s.Policy.Pushed > 0 {
			names = append(names, name)
		}
	}
	return names
}

func (c catalog) Dependants(grant string) []string {
	var names []string
	for name, s := range c {
		if s.Grant == grant {
			names = append(names, name)
		}
	}
	return names
}

func (c catalog) Onboarding(owner string) (Onboarding, error) {
	if way, ok := c[owner+"/*"].Fetcher.(way); ok {
		return Onboarding(way), nil
	}
	return Onboarding{}, &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "no such owner"}
}

// way hides an Onboarding in a Spec of a catalog.
type way Onboarding

func (way) Fetch(context.Context, fetchers.Ask) (fetchers.Token, error) { panic("not a fetcher") }

func specs(all ...Spec) catalog {
	c := catalog{}
	for _, s := range all {
		if s.Account == "" {
			s.Account, s.Owner = s.Name, s.Name
		}
		c[s.Name] = s
	}
	return c
}

// disk is a store in memory that can be made to block, too.
type disk struct {
	memstore.Store
	gate chan struct{} // nil, or what Put waits for
	walk chan struct{} // nil, or what All waits for before each credential
}

func newDisk() *disk { return &disk{} }

func (d *disk) Put(ctx context.Context, recs ...record.Record) error {
	if d.gate != nil {
		<-d.gate
	}
	return d.Store.Put(ctx, recs...)
}

func (d *disk) All(table record.Table) iter.Seq2[record.Record, error] {
	if d.walk == nil || table != record.Credentials {
		return d.Store.All(table)
	}
	return func(yield func(record.Record, error) bool) {
		for r, err := range d.Store.All(table) {
			if <-d.walk; !yield(r, err) {
				return
			}
		}
	}
}

// fail makes every Put fail with err, until it is nil.
func (d *disk) fail(err error) {
	n := -1
	if err == nil {
		n = 0
	}
	d.Fail(n, err)
}

func (d *disk) has(table record.Table, key string) bool {
	r, err := d.Get(table, key)
	return err == nil && r.Value != nil
}

// rig is an engine that runs.
type rig struct {
	*Engine
	t    *testing.T
	log  func() string
	end  context.CancelFunc // asks Run to stop
	stop func()             // the same, and waits for it
}

// Cached is what a reader of one credential gets.
func (r *rig) Cached(name []byte) (credential.Value, bool) { return r.Engine.Cached(name, r.Now()) }

// start runs an engine until the test ends or stop is called. Inside a bubble only.
func start(t *testing.T, cfg Config) *rig {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = newDisk()
	}
	if cfg.Hosts == nil {
		cfg.Hosts = bothHosts
	}
	var mu sync.Mutex
	var log strings.Builder
	if cfg.Logger == nil {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: lockedWriter{&mu, &log}})
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	logged := func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	return &rig{e, t, logged, cancel, stop}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.w.(*strings.Builder).Len() > 64<<20 {
		// In virtual time a hot loop would never end, because no time passes.
		panic("64 MiB were logged: something goes round and round")
	}
	return w.w.Write(p)
}

func (r *rig) get(name string) (string, error) {
	v, err := r.Get(context.Background(), name)
	return string(v.Text), err
}

func (r *rig) mustGet(name string) string {
	r.t.Helper()
	v, err := r.get(name)
	if err != nil {
		r.t.Fatalf("Get(%s) at %s: %v", name, time.Now().Format(time.TimeOnly), err)
	}
	return v
}

func (r *rig) mustState(name string, want credential.State) {
	r.t.Helper()
	s, err := r.Status(name)
	if err != nil {
		r.t.Fatal(err)
	}
	if s.State != want {
		r.t.Errorf("state of %s: got %s, want %s", name, s.State, want)
	}
}

// reason returns the reason of a *credential.Error, 0 for none.
func reason(err error) credential.Reason {
	if e, ok := errors.AsType[*credential.Error](err); ok {
		return e.Reason
	}
	return 0
}

func mustReason(t *testing.T, err error, want credential.Reason) *credential.Error {
	t.Helper()
	if reason(err) != want {
		t.Fatalf("got error %v, want one of reason %s", err, want)
	}
	e, _ := errors.AsType[*credential.Error](err)
	return e
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

const (
	app  = "official_account/wx1/access_token"
	app2 = "official_account/wx2/access_token"
	tick = "official_account/wx1/jsapi_ticket"
)
