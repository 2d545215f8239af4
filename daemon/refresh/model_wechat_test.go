package refresh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

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
	w.uses(ask.Parent)
	w.arrives(t, ask)
	c := arrival{ask, t.settings, w.now()}
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
		return fetchers.Token{}, w.tell(t, c, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: err})
	}
	if sick {
		return fetchers.Token{}, w.tell(t, c, w.fault(t, ask, r))
	}
	tok, refused := w.serve(t, ask, r)
	if refused != nil {
		return fetchers.Token{}, w.tell(t, c, refused)
	}
	w.answer(t, c.came, tok.ExpiresIn)
	if tok.Grant != "" {
		w.grants[customerOf(t.name)].delivered = grantGen(tok.Grant)
	}
	w.note("%s: %s for %v %s", t.name, string(tok.Value), tok.ExpiresIn, string(tok.Grant))
	return tok, nil
}

const longestLatency = 20 * time.Second

func latency(r *rand.Rand, sick bool) time.Duration {
	switch {
	case sick && r.IntN(4) == 0:
		return longestLatency
	case r.IntN(8) == 0:
		return time.Duration(1+r.IntN(5000)) * time.Millisecond
	}
	return time.Duration(1+r.IntN(100)) * time.Millisecond
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

// serve answers a call in order. mu is held.
func (w *world) serve(t *truth, ask fetchers.Ask, r *rand.Rand) (fetchers.Token, *fetchers.APIError) {
	now := w.now()
	if ask.Grant != "" {
		g := w.grants[customerOf(t.name)]
		switch gen := grantGen(ask.Grant); {
		case !g.authorized || gen != g.gen && (gen != g.gen-1 || now >= g.before):
			if strings.HasPrefix(t.name, "open_work") {
				return fetchers.Token{}, refusal(40084, fetchers.Reauthorize)
			}
			return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
		}
	}
	p := t.kind
	life := []time.Duration{2 * time.Hour, 2 * time.Hour, 2 * time.Hour, 30 * time.Minute, time.Minute, 6 * time.Second}[r.IntN(6)]
	if p.PerAsk {
		life = 10 * time.Minute
	}
	v := t.value
	lead := min(p.Lead, life/4)
	if v == nil || p.Rotates || p.PerAsk || ask.Force || now >= v.dies-lead {
		gen := 1
		if v != nil {
			gen = v.gen + 1
			if p.Rotates || ask.Force {
				v.dies = min(v.dies, now+5*time.Minute)
			}
		}
		v = &issued{gen: gen, dies: now + life, end: now + life}
		t.value = v
		t.values[fmt.Sprintf("%s#%d", t.name, gen)] = v
	}
	tok := token(fmt.Sprintf("%s#%d", t.name, v.gen), v.dies-now)
	if g := w.grants[customerOf(t.name)]; t.kind == policy.AuthorizerToken && grantGen(ask.Grant) == g.gen && r.IntN(2) == 0 {
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
		return refusal(policy.WeCom.Crowded, fetchers.Retry)
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
		if t.kind == policy.ComponentToken || t.kind == policy.SuiteToken {
			return refusal(61006, fetchers.NewTicket)
		}
		return refusal(47001, fetchers.Malformed)
	}
	return refusal(40125, fetchers.Misconfigured)
}

// Exchange turns a code into a grant, once.
func (s source) Exchange(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
	w := s.w
	w.mu.Lock()
	w.uses(parent)
	w.called[string(code)] = append(w.called[string(code)], w.now())
	r := w.chance(string(code), len(w.called[string(code)]))
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
	if t := w.names[customer+"/access_token"]; t.kind == policy.AuthorizerToken {
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
		t.dropped = w.now() + 2*modelDawdle
	}
	g.delivered = g.gen
	w.freeing(customer)
	return auth, nil
}

// Page lists the customers of the platform.
func (s source) Page(_ context.Context, parent secret.Text, _, _ int) (fetchers.AuthorizerPage, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.uses(parent)
	var page fetchers.AuthorizerPage
	for _, path := range slices.Sorted(maps.Keys(s.w.grants)) {
		g := s.w.grants[path]
		if child, ok := strings.CutPrefix(path, platform+"/"); ok && g.authorized {
			s.w.freeing(path)
			page.Authorizers = append(page.Authorizers, fetchers.ListedAuthorizer{AppID: child, RefreshToken: grantValue(path, g.gen)})
		}
	}
	page.Total = len(page.Authorizers)
	return page, nil
}
