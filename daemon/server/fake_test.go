package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// fakeEngine is the engine that testdata/conversations/README.md describes: a few credentials, and
// fetches that end as tell says, or never.
type fakeEngine struct {
	mu      sync.Mutex
	at      *time.Time
	creds   map[string]*fakeCred
	script  map[string]fetched
	told    chan struct{} // closed and replaced when script changes
	watches map[*fakeWatch]struct{}

	gets    int // calls of Get that had to wait, or would have
	waiting int // how many are waiting now

	imported map[int]bool // the offsets of pages that have been imported

	looks int // at the clock

	rejectedOlder []time.Duration // the ages that RejectOlder was called with

	loading chan struct{} // closed when all is loaded; nil where it was at once

	panics string // Get and Cached of this name panic
}

type fakeCred struct {
	kind    string
	state   credential.State
	value   secret.Text
	end     time.Time
	readers credential.Readers
}

// fetched is how a fetch ends.
type fetched struct {
	ttl   time.Duration
	value secret.Text
	err   error
}

const (
	token      = "official_account/wx0123/access_token"
	ticket     = "official_account/wx0123/jsapi_ticket"
	cold       = "mini_program/wx4567/access_token"
	workToken  = "work/ww0123/1000002/access_token"
	heldToken  = "work/ww0123/1000002/wwdownstream/access_token"
	pushed     = "open_platform/wxcomponent/component_verify_ticket"
	authorizer = "open_platform/wxcomponent/wxauthorizer/access_token"

	platform = "open_platform/wxcomponent"
	aGrant   = "open_platform/wxcomponent/wxauthorizer/refresh_token"
)

func newFakeEngine() *fakeEngine { return newFakeEngineAt(nil) }

// newFakeEngineAt's clock stands still at *at, which is guarded by mu from now on. Nil stands for a
// clock that goes.
func newFakeEngineAt(at *time.Time) *fakeEngine {
	e := &fakeEngine{at: at}
	in := func(d time.Duration) time.Time { return e.now().Add(d) }
	*e = fakeEngine{
		at: at,
		creds: map[string]*fakeCred{
			cold:       {kind: "stable_token", state: credential.Idle},
			token:      {kind: "stable_token", state: credential.Fresh, value: "tok-01", end: in(2 * time.Hour)},
			ticket:     {kind: "ticket", state: credential.Fresh, value: "ticket-01", end: in(2 * time.Hour)},
			pushed:     {kind: "pushed", state: credential.Waiting},
			authorizer: {kind: "rotating_token", state: credential.Expired},
			workToken:  {kind: "corp_token", state: credential.Stale, value: "tok-w1", end: in(10 * time.Minute)},
			heldToken:  {kind: "downstream_token", state: credential.Held},
		},
		script:   map[string]fetched{},
		imported: map[int]bool{},
		told:     make(chan struct{}),
		watches:  map[*fakeWatch]struct{}{},
	}
	return e
}

// now is the time by which credentials end.
func (e *fakeEngine) now() time.Time {
	if e.at != nil {
		return *e.at
	}
	return time.Now()
}

var errNoSuch = &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "the engine's own words for it"}

var errWriteOnly = &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "write-only"}

func (e *fakeEngine) Now() clock.Instant {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks++
	return clock.Instant(e.now().UnixNano())
}

func (e *fakeEngine) Cached(name []byte, now clock.Instant) (credential.Value, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.panics != "" && string(name) == e.panics {
		panic("canary-panic")
	}
	c := e.creds[string(name)]
	at := time.Unix(0, int64(now))
	if c == nil || !c.end.After(at) {
		return credential.Value{}, false
	}
	return credential.Value{Text: c.value, TTL: c.end.Sub(at), Readers: &c.readers}, true
}

func (e *fakeEngine) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	cachedEach(e, names, now, values)
}

// cachedEach is CachedAll, by Cached.
func cachedEach(e Engine, names [][]byte, now clock.Instant, values []credential.Value) {
	for i, name := range names {
		values[i], _ = e.Cached(name, now)
	}
}

func (e *fakeEngine) Get(ctx context.Context, name string) (credential.Value, error) {
	if v, ok := e.Cached([]byte(name), e.Now()); ok {
		return v, nil
	}
	return e.fetch(ctx, name, false)
}

func (e *fakeEngine) Reject(ctx context.Context, name string, value secret.Text) (credential.Value, error) {
	if v, ok := e.Cached([]byte(name), e.Now()); ok && v.Text != value {
		return v, nil
	}
	return e.fetch(ctx, name, true)
}

func (e *fakeEngine) RejectCached(name, value []byte) (credential.Value, bool) {
	v, ok := e.Cached(name, e.Now())
	return v, ok && v.Text != secret.Text(value)
}

func (e *fakeEngine) RejectOlder(ctx context.Context, name string, age time.Duration) error {
	v, ok := e.Cached([]byte(name), e.Now())
	e.mu.Lock()
	e.rejectedOlder = append(e.rejectedOlder, age)
	e.mu.Unlock()
	if !ok {
		return nil
	}
	_, err := e.Reject(ctx, name, v.Text)
	return err
}

func (e *fakeEngine) Class(name string) (credential.Class, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.creds[name]
	switch {
	case strings.HasPrefix(name, platform+"/") && strings.HasSuffix(name, "/refresh_token"):
		return credential.Grant, nil
	case c == nil:
		return 0, errNoSuch
	case c.kind == "pushed":
		return credential.Pushed, nil
	}
	return credential.Fetched, nil
}

func (e *fakeEngine) Refresh(ctx context.Context, name string) (credential.Value, error) {
	return e.fetch(ctx, name, true)
}

// fetch waits until the script says how a fetch of name ends. Unless it is forced, a
// value that is there by then will do.
func (e *fakeEngine) fetch(ctx context.Context, name string, forced bool) (credential.Value, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gets++
	e.waiting++
	defer func() { e.waiting-- }()
	for {
		c, f, told := e.creds[name], e.script[name], e.told
		switch {
		case c == nil:
			return credential.Value{}, errNoSuch
		case c.kind == "grant":
			return credential.Value{}, errWriteOnly
		case !forced && c.end.After(e.now()):
			return credential.Value{Text: c.value, TTL: c.end.Sub(e.now()), Readers: &c.readers}, nil
		case f.err != nil:
			return credential.Value{}, f.err
		case f.value != "":
			e.landLocked(name, f)
			return credential.Value{Text: c.value, TTL: c.end.Sub(e.now()), Readers: &c.readers}, nil
		}
		e.mu.Unlock()
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-told:
		}
		e.mu.Lock()
		if err != nil {
			return credential.Value{}, err
		}
	}
}

// Put knows the grants of every customer of platform, and pushed, which lives for 12 h.
func (e *fakeEngine) Put(_ context.Context, name string, value secret.Text) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.creds[name]
	switch {
	case strings.HasPrefix(name, platform+"/") && strings.HasSuffix(name, "/refresh_token"):
		e.creds[name] = &fakeCred{kind: "grant", state: credential.Fresh, value: value}
	case c == nil:
		return errNoSuch
	case c.kind != "pushed":
		return &credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never,
			Message: name + " is fetched from WeChat: only pushed tickets and grants can be put"}
	default:
		e.landLocked(name, fetched{ttl: 12 * time.Hour, value: value})
	}
	close(e.told) // requests that wait for a ticket continue
	e.told = make(chan struct{})
	return nil
}

func (e *fakeEngine) PutAll(ctx context.Context, all []credential.Deposit) []error {
	errs := make([]error, len(all))
	for i, d := range all {
		errs[i] = e.Put(ctx, d.Name, d.Value)
	}
	return errs
}

// Exchange knows one code, and whose it is.
func (e *fakeEngine) Exchange(ctx context.Context, owner string, code secret.Text) (string, error) {
	customer := platform + "/wxcustomer"
	switch {
	case owner != platform:
		return "", errNoSuch
	case code != "queryauthcode@@@01":
		return "", &credential.Error{Reason: credential.Refused, RetryAfter: credential.Never, Message: "errcode=61010 code is expired"}
	}
	return customer, e.Put(ctx, customer+"/refresh_token", "refreshtoken@@@02")
}

// Import has 700 customers of platform, in pages of 500; each is new once.
func (e *fakeEngine) Import(_ context.Context, owner string, offset int) (credential.ImportPage, error) {
	const total, page = 700, 500
	if owner != platform {
		return credential.ImportPage{}, errNoSuch
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := credential.ImportPage{Total: total}
	if offset+page < total {
		p.Next = offset + page
	}
	if !e.imported[offset] {
		p.Kept = min(page, max(0, total-offset))
	}
	e.imported[offset] = true
	return p, nil
}

// fakeInbox is the inbox that testdata/conversations/README.md describes: it takes one message,
// which carries a ticket.
type fakeInbox struct{ engine Engine }

func (i fakeInbox) Receive(ctx context.Context, owner, signature, _, _, _ string) error {
	switch {
	case owner != platform:
		return errNoSuch
	case signature != "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567":
		return &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "the signature is not right"}
	}
	return i.engine.Put(ctx, pushed, "ticket@@@01")
}

// landLocked makes f the outcome of a refresh of name, and tells the watchers.
func (e *fakeEngine) landLocked(name string, f fetched) {
	c := e.creds[name]
	switch {
	case f.err != nil:
		c.state = credential.Stale
	case f.value != c.value:
		c.value, c.end, c.state = f.value, e.now().Add(f.ttl), credential.Fresh
	default:
		c.state = credential.Fresh
	}
	for w := range e.watches {
		if strings.HasPrefix(name, w.prefix) {
			w.events = append(w.events, e.listingLocked(name))
			w.wakeLocked()
		}
	}
}

// tell says how fetches of name end from now on.
func (e *fakeEngine) tell(name string, f fetched) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script[name] = f
	close(e.told)
	e.told = make(chan struct{})
}

// waiters returns how many requests have waited, and how many are waiting now.
func (e *fakeEngine) waiters() (ever, now int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gets, e.waiting
}

func (e *fakeEngine) listingLocked(name string) credential.Listing {
	c := e.creds[name]
	return credential.Listing{Name: name, State: c.state, TTL: max(0, c.end.Sub(e.now()))}
}

func (e *fakeEngine) Loaded() <-chan struct{} {
	if e.loading == nil {
		return closed
	}
	return e.loading
}

func (e *fakeEngine) List(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing]) {
	<-e.Loaded()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []credential.Listing
	for name := range e.creds {
		if strings.HasPrefix(name, prefix) && may(name) {
			all = append(all, e.listingLocked(name))
		}
	}
	slices.SortFunc(all, func(a, b credential.Listing) int { return strings.Compare(a.Name, b.Name) })
	return len(all), slices.Values(all)
}

func (e *fakeEngine) Status(name string) (credential.Status, error) {
	<-e.Loaded()
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.creds[name]
	if c == nil {
		return credential.Status{}, errNoSuch
	}
	st := credential.Status{Listing: e.listingLocked(name), Kind: c.kind, Durable: true, Readers: &c.readers}
	if name == token {
		now := e.now()
		st.FetchedAt, st.ExpiresAt, st.NextRefresh = now, c.end, now.Add(110*time.Minute)
		st.Fingerprint = "6d7f1a02"
		st.Host = "api.example.com"
	}
	return st, nil
}

func (e *fakeEngine) History(name string) ([]credential.Attempt, error) {
	<-e.Loaded()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.creds[name] == nil {
		return nil, errNoSuch
	}
	if name != token {
		return nil, nil
	}
	now := e.now()
	return []credential.Attempt{
		{At: now, Cause: credential.CauseSchedule, Outcome: "ok", Took: 85 * time.Millisecond},
		{At: now.Add(-30 * time.Second), Cause: credential.CauseSchedule, Outcome: "upstream", ErrCode: -1,
			RID: "5f9f8a7c-1b2c3d4e-6a7b8c9d", Took: 112 * time.Millisecond},
		{At: now.Add(-110 * time.Minute), Cause: credential.CauseRead, Outcome: "ok", Took: 93 * time.Millisecond},
	}, nil
}

func (e *fakeEngine) Stats() []credential.Stat {
	<-e.Loaded()
	return []credential.Stat{{Key: "calls:/cgi-bin/stable_token", Value: 3}}
}

func (e *fakeEngine) Watch(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], Watch) {
	n, all := e.List(work, prefix, may)
	return n, all, e.Subscribe(prefix)
}

func (e *fakeEngine) Subscribe(prefix string) Watch {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &fakeWatch{of: e, prefix: prefix, ready: make(chan struct{}, 1)}
	e.watches[w] = struct{}{}
	return w
}

type fakeWatch struct {
	of     *fakeEngine
	prefix string
	ready  chan struct{}
	events []credential.Listing
	closed bool
}

func (w *fakeWatch) Take() ([]credential.Listing, bool) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	events := w.events
	w.events = nil
	return events, !w.closed
}

func (w *fakeWatch) Ready() <-chan struct{} { return w.ready }

func (w *fakeWatch) wakeLocked() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *fakeWatch) Close() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	if _, ok := w.of.watches[w]; ok {
		delete(w.of.watches, w)
		w.closed = true
		w.wakeLocked()
	}
}

// canary is the detail of a fault: it must never reach a peer.
var errFault = errors.New("canary-fault")

// reasons are the engine's words for the protocol's codes.
var reasons = map[protocol.Code]credential.Reason{
	protocol.Waiting:     credential.NoTicket,
	protocol.Upstream:    credential.Refused,
	protocol.Unavailable: credential.Unreachable,
	protocol.Limited:     credential.Limited,
	protocol.Reauth:      credential.Reauth,
	protocol.Busy:        credential.Busy,
}

// parseFetched reads OK <ttl> <value> or ERR <code> <retry_after> <message>.
func parseFetched(reply string) (fetched, error) {
	fields, err := protocol.ParseReply(reply)
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		if e.Code == protocol.Internal {
			return fetched{err: errFault}, nil
		}
		reason, ok := reasons[e.Code]
		if !ok {
			return fetched{}, fmt.Errorf("no reason for %s", e.Code)
		}
		return fetched{err: &credential.Error{Reason: reason, RetryAfter: e.RetryAfter, Message: e.Message}}, nil
	}
	if err != nil {
		return fetched{}, err
	}
	ttl, value, err := protocol.ParseValue(fields)
	return fetched{ttl: ttl, value: secret.Text(value)}, err
}
