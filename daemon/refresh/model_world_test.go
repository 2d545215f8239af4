package refresh

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// world is what the engine of a model run lives in: WeChat, a disk, a clock. It knows the
// truth, and what it has told the engine, and notes what must never be.
type world struct {
	seed   uint64
	weight int // of each 100 calls, how many go wrong
	began  time.Time

	mu     sync.Mutex
	drift  time.Duration // true time beyond the bubble's
	bootAt time.Duration
	boot   int
	life   *life // the incarnation that lives
	wrong  []string
	trace  []string
	sick   bool // calls may go wrong, as weight says

	names  map[string]*truth
	grants map[string]*grantTruth     // by customer's path
	called map[string][]time.Duration // by what is counted
	codes  map[string]string          // code to customer's path; used ones are gone
	faults int
}

// life is one incarnation of the engine: from its start to its end or its kill.
type life struct {
	dead   chan struct{} // closed by a kill
	killed bool          // guarded by world.mu
	end    time.Duration // of the kill
	rough  bool          // the disk has refused something in this life; guarded by world.mu
}

// truth is what WeChat knows of a credential.
type truth struct {
	name     string
	kind     Kind
	calls    int
	underway int
	value    *issued
	values   map[string]*issued

	// What the engine has been told: no call before held, unless with something else than
	// refusedWith, if that is set. It was told at told; before free it may think otherwise, because
	// something else is under way that ends holds. freed counts an operator's doings.
	held, told, free time.Duration
	heldWhy          string
	refusedWith      string
	freed            int
	settings         int // how often the configuration has changed

	// What readers have got: a value of the generation seen, and one that lives until valid. An
	// answer at answered may make it less.
	seen            int
	valid           time.Duration
	answered, ended time.Duration
}

// issued is a value that WeChat has given out.
type issued struct {
	gen  int
	dies time.Duration
	end  time.Duration // dies, as far as the engine can know: an answer that was lost may have ended it
}

// grantTruth is what WeChat knows of a customer.
type grantTruth struct {
	gen        int
	authorised bool
	before     time.Duration // until when the grant before is taken, too

	delivered int  // the newest that this life of the engine was told
	acked     int  // the newest that the engine has said to be durable
	revoked   bool // the engine has said that it knows
	changing  int  // authorizations under way
}

func newWorld(seed uint64, weight int) *world {
	return &world{
		seed: seed, weight: weight, began: time.Now(), sick: true,
		names: map[string]*truth{}, grants: map[string]*grantTruth{},
		called: map[string][]time.Duration{}, codes: map[string]string{},
	}
}

// now is true time. mu is held.
func (w *world) now() time.Duration { return time.Since(w.began) + w.drift }

// boottime is what the host tells the engine.
func (w *world) boottime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now() - w.bootAt
}

func (w *world) bootID() string { return fmt.Sprint("boot-", w.boot) }

// violate notes what must never be. mu is held.
func (w *world) violate(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf("%v: ", w.now())+fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12v ", w.now())+fmt.Sprintf(format, args...))
}

// chance returns a source that depends on the run, on what it is for and on how often that
// was, and not on the order in which goroutines come by.
func (w *world) chance(what string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, what, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// source is WeChat's endpoint for one credential, as one life of the engine calls it.
type source struct {
	w    *world
	l    *life
	name string
}

var errBuried = errors.New("the engine that called is dead")

// Fetch answers a call, or fails it, as chance has it.
func (s source) Fetch(ctx context.Context, ask fetchers.Ask) (fetchers.Token, error) {
	w := s.w
	w.mu.Lock()
	if s.l.killed {
		w.mu.Unlock()
		return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Err: errBuried}
	}
	t := w.names[s.name]
	t.calls++
	r := w.chance(s.name, t.calls)
	w.arrives(t, ask)
	settings, came := t.settings, w.now()
	t.underway++
	sick := w.sick && r.IntN(100) < w.weight
	w.mu.Unlock()

	err := s.nap(ctx, latency(r, sick))
	w.mu.Lock()
	defer w.mu.Unlock()
	t.underway--
	if s.l.killed {
		if r.IntN(2) == 0 {
			_, _ = w.serve(t, ask, r) // WeChat did as asked, and nobody heard of it
		}
		return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: errBuried}
	}
	if err != nil {
		return fetchers.Token{}, w.tell(t, ask, settings, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: err})
	}
	if sick {
		return fetchers.Token{}, w.tell(t, ask, settings, w.fault(t, ask, r))
	}
	tok, refused := w.serve(t, ask, r)
	if refused != nil {
		return fetchers.Token{}, w.tell(t, ask, settings, refused)
	}
	w.answer(t, came, tok.ExpiresIn)
	if tok.Grant != "" {
		w.grants[customerOf(t.name)].delivered = grantGen(tok.Grant)
	}
	w.note("%s: %s for %v %s", t.name, string(tok.Value), tok.ExpiresIn, string(tok.Grant))
	return tok, nil
}

// answer notes that the engine gets an answer that lives for life, which it counts from before the
// call. mu is held.
func (w *world) answer(t *truth, came, life time.Duration) {
	t.held = 0
	t.answered, t.ended = w.now(), came+life
	t.valid = min(t.valid, t.ended)
}

const longestLatency = 20 * time.Second

func latency(r *rand.Rand, sick bool) time.Duration {
	switch {
	case sick && r.IntN(4) == 0:
		return longestLatency
	case r.IntN(8) == 0:
		return time.Duration(r.IntN(5000)) * time.Millisecond
	}
	return time.Duration(r.IntN(100)) * time.Millisecond
}

// nap waits for d, ctx, or the end of the life that called.
func (s source) nap(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.l.dead:
		return errBuried
	}
}

// arrives judges a call as it comes. mu is held.
func (w *world) arrives(t *truth, ask fetchers.Ask) {
	if t.underway > 0 {
		w.violate("%s: two calls at once", t.name)
	}
	with := string(ask.Parent) + "|" + string(ask.Grant)
	if now := w.now(); now < t.held && now >= t.free && t.freed == 0 && (t.refusedWith == "" || t.refusedWith == with) {
		w.violate("%s: called %v before the end of a hold (%s), with %s", t.name, t.held-now, t.heldWhy, with)
	}
	w.charge(t, ask.Force)
}

// quotas is what WeChat counts, by kind.
var quotas = map[Kind]budget{
	// That of tickets is tokend's own.
	Ticket: {window: time.Hour, limit: 90}, AuthorizerTicket: {window: time.Hour, limit: 90},
	CorpTicket: {window: time.Hour, limit: 100}, RotatingToken: {window: day, limit: 2000},
}

// charge counts a call against WeChat's quotas, over all lives. mu is held.
func (w *world) charge(t *truth, forced bool) {
	count := func(key string, window time.Duration, limit int) {
		now := w.now()
		calls := append(w.called[key], now)
		for now-calls[0] >= window {
			calls = calls[1:]
		}
		w.called[key] = calls
		if len(calls) > limit {
			w.violate("%s: %d calls within %v", key, len(calls), window)
		}
	}
	if q, ok := quotas[t.kind]; ok {
		count(t.name, q.window, q.limit)
	}
	if forced {
		count(t.name+" forced", day, 20)
		count(t.name+" forced at once", 30*time.Second-modelDawdle, 1)
	}
}

// serve answers a call in order. mu is held.
func (w *world) serve(t *truth, ask fetchers.Ask, r *rand.Rand) (fetchers.Token, *fetchers.APIError) {
	now := w.now()
	if ask.Grant != "" {
		g := w.grants[customerOf(t.name)]
		switch gen := grantGen(ask.Grant); {
		case !g.authorised || gen != g.gen && (gen != g.gen-1 || now >= g.before):
			if strings.HasPrefix(t.name, "open_work") {
				return fetchers.Token{}, refusal(40084, fetchers.Reauthorize)
			}
			return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
		}
	}
	p := t.kind.policy()
	life := []time.Duration{2 * time.Hour, 2 * time.Hour, 2 * time.Hour, 30 * time.Minute, time.Minute, 6 * time.Second}[r.IntN(6)]
	if p.perAsk {
		life = 10 * time.Minute
	}
	v := t.value
	lead := min(p.lead, life/4)
	if v == nil || p.rotates || p.perAsk || ask.Force || now >= v.dies-lead {
		gen := 1
		if v != nil {
			gen = v.gen + 1
			if p.rotates || ask.Force {
				v.dies = min(v.dies, now+5*time.Minute)
			}
		}
		v = &issued{gen: gen, dies: now + life, end: now + life}
		t.value = v
		t.values[fmt.Sprintf("%s#%d", t.name, gen)] = v
	}
	tok := token(fmt.Sprintf("%s#%d", t.name, v.gen), v.dies-now)
	if g := w.grants[customerOf(t.name)]; t.kind == AuthorizerToken && grantGen(ask.Grant) == g.gen && r.IntN(2) == 0 {
		g.gen++
		g.before = now + 5*time.Minute
		tok.Grant = grantValue(customerOf(t.name), g.gen)
	}
	return tok, nil
}

// fault fails a call in one of the ways in which calls fail. mu is held.
func (w *world) fault(t *truth, ask fetchers.Ask, r *rand.Rand) error {
	switch r.IntN(12) {
	case 0, 1:
		return away()
	case 2, 3:
		_, _ = w.serve(t, ask, r) // done, and the answer lost
		return &fetchers.TransportError{Endpoint: "/", Sent: true, Err: context.DeadlineExceeded}
	case 4:
		return refusal(-1, fetchers.Retry)
	case 5:
		return refusal(crowded, fetchers.Retry)
	case 6:
		if ask.Parent != "" {
			return refusal(40001, fetchers.ParentDead)
		}
		return refusal(40125, fetchers.Misconfigured)
	case 7:
		return refusal(40164, fetchers.AddressRefused)
	case 8:
		return refusal(45009, fetchers.QuotaDay)
	case 9:
		return refusal(45011, fetchers.QuotaMinute)
	case 10:
		if t.kind == ComponentToken || t.kind == SuiteToken {
			return refusal(61006, fetchers.NewTicket)
		}
		return refusal(47001, fetchers.Malformed)
	}
	return refusal(40125, fetchers.Misconfigured)
}

// tell notes what the engine learns by err. mu is held.
func (w *world) tell(t *truth, ask fetchers.Ask, settings int, err error) error {
	w.faults++
	w.note("%s: %v", t.name, err)
	hold, with := time.Duration(0), ""
	api, ok := errors.AsType[*fetchers.APIError](err)
	if ok {
		switch api.Reaction {
		case fetchers.Misconfigured, fetchers.AddressRefused, fetchers.Malformed:
			hold = 5 * time.Minute
		case fetchers.QuotaMinute, fetchers.QuotaDay:
			hold = time.Minute
		case fetchers.Reauthorize:
			hold, with = forEver, string(ask.Parent)+"|"+string(ask.Grant)
		case fetchers.NewTicket:
			hold, with = forEver, string(ask.Parent)+"|"+string(ask.Grant)
		}
	}
	if settings == t.settings && !errors.Is(err, context.Canceled) {
		t.held, t.told, t.heldWhy, t.refusedWith = w.now()+hold, w.now(), err.Error(), with
	}
	return err
}

// forEver is the end of a hold that no time ends.
const forEver = 1 << 62

func customerOf(name string) string { return name[:strings.LastIndexByte(name, '/')] }

func grantValue(customer string, gen int) secret.Text {
	return secret.Text(fmt.Sprintf("%s!%d", customer, gen))
}

func grantGen(value secret.Text) int {
	_, n, _ := strings.Cut(string(value), "!")
	gen := -1
	_, _ = fmt.Sscan(n, &gen)
	return gen
}

// Exchange turns a code into a grant, once.
func (s source) Exchange(ctx context.Context, _, code secret.Text) (fetchers.Authorization, error) {
	w := s.w
	w.mu.Lock()
	n := len(w.called["codes"])
	w.called["codes"] = append(w.called["codes"], w.now())
	r := w.chance(string(code), n)
	came := w.now()
	sick := w.sick && r.IntN(100) < w.weight
	w.mu.Unlock()
	err := s.nap(ctx, latency(r, sick))
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s.l.killed:
		return fetchers.Authorization{}, &fetchers.TransportError{Endpoint: "/", Err: errBuried}
	case err != nil || sick && r.IntN(2) == 0:
		return fetchers.Authorization{}, away()
	case sick:
		return fetchers.Authorization{}, refusal(-1, fetchers.Retry)
	}
	customer, ok := w.codes[string(code)]
	if !ok {
		return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
	}
	delete(w.codes, string(code))
	g := w.grants[customer]
	w.note("%s exchanged for %s!%d", string(code), customer, g.gen)
	auth := fetchers.Authorization{Child: customer[strings.LastIndexByte(customer, '/')+1:], Grant: grantValue(customer, g.gen)}
	if t := w.names[customer+"/access_token"]; t.kind == AuthorizerToken {
		gen := 1
		if t.value != nil {
			gen = t.value.gen + 1
			t.value.dies = min(t.value.dies, w.now()+5*time.Minute)
		}
		t.value = &issued{gen: gen, dies: w.now() + 2*time.Hour, end: w.now() + 2*time.Hour}
		t.values[fmt.Sprintf("%s#%d", t.name, gen)] = t.value
		tok := token(fmt.Sprintf("%s#%d", t.name, gen), 2*time.Hour)
		auth.Token = &tok
		w.answer(t, came, 2*time.Hour)
	}
	g.delivered = g.gen
	w.freeing(customer)
	return auth, nil
}

// freeing notes that a customer gets a grant, which ends the holds of what lives by it as soon as
// it is written. mu is held.
func (w *world) freeing(customer string) {
	for name, t := range w.names {
		if strings.HasPrefix(name, customer+"/") {
			t.free = max(t.free, w.now()+2*modelDawdle)
			t.held = 0
		}
	}
}

// Page lists the customers of the platform.
func (s source) Page(context.Context, secret.Text, int, int) (fetchers.AuthorizerPage, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	var page fetchers.AuthorizerPage
	for path, g := range s.w.grants {
		if child, ok := strings.CutPrefix(path, platform+"/"); ok && g.authorised {
			s.w.freeing(path)
			page.Authorizers = append(page.Authorizers, fetchers.ListedAuthorizer{AppID: child, RefreshToken: grantValue(path, g.gen)})
		}
	}
	page.Total = len(page.Authorizers)
	return page, nil
}

// recover is the list as the last resort for one customer.
func (s source) recover(customer string) func(context.Context, secret.Text) (secret.Text, error) {
	return func(context.Context, secret.Text) (secret.Text, error) {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		if g := s.w.grants[customer]; g.authorised && !s.l.killed {
			s.w.freeing(customer)
			return grantValue(customer, g.gen), nil
		}
		return "", nil
	}
}
