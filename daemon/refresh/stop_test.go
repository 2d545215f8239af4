package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// stuck is an upstream of which no call comes back before its time is up; then it is lost, or what
// comes back calls for more.
type stuck struct {
	mu    sync.Mutex
	calls map[string]int
	ends  error // nil: lost
}

func (h *stuck) call(ctx context.Context, what string) error {
	h.mu.Lock()
	if h.calls == nil {
		h.calls = map[string]int{}
	}
	h.calls[what]++
	h.mu.Unlock()
	<-ctx.Done()
	if h.ends != nil {
		return h.ends
	}
	return &fetchers.TransportError{Endpoint: what, Sent: true, Err: ctx.Err()}
}

type stuckLister struct{ *stuck }

func (h stuckLister) Page(ctx context.Context, _ secret.Text, _, _ int) (fetchers.AuthorizerPage, error) {
	return fetchers.AuthorizerPage{}, h.call(ctx, "list")
}

// TestStopWithHungUpstream: whatever is in flight, a stop takes no longer than one call.
func TestStopWithHungUpstream(t *testing.T) {
	const timeout = 5 * time.Second
	for _, tc := range []struct {
		name string
		ends error
	}{
		{"lost", nil},
		{"parent dead", refusal(42001, fetchers.ParentDead)},
		{"busy", refusal(-1, fetchers.Retry)},
		{"grant refused", refusal(61023, fetchers.GrantRefused)},
	} {
		for i, after := range []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 4 * time.Second, 7 * time.Second} {
			calls := 500 // all are made
			if i > 0 {
				calls = 0 // most wait for a slot
			}
			t.Run(fmt.Sprint(tc.name, " after ", after, ", calls ", calls), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := &stuck{ends: tc.ends}
					children := make([]string, 80)
					for i := range children {
						children[i] = fmt.Sprint("wx", i)
					}
					p := newPlatform(children...)
					p.exchange = func(ctx context.Context, _, _ secret.Text) (fetchers.Authorization, error) {
						return fetchers.Authorization{}, h.call(ctx, "exchange")
					}
					p.list = func(int, int) (fetchers.AuthorizerPage, error) { return fetchers.AuthorizerPage{}, nil }
					c := p.catalog()
					nudged := c[verify]
					nudged.Nudge = func(ctx context.Context) error { return h.call(ctx, "nudge") }
					c[verify] = nudged
					away := c[platform+"/*"].Fetcher.(way)
					away.Lister = stuckLister{h}
					c[platform+"/*"] = Spec{Name: platform + "/*", Fetcher: away}
					for _, kind := range []*policy.Policy{policy.StableToken, policy.RotatingToken} {
						for i := range 10 {
							name := fmt.Sprintf("official_account/wx-%s-%d/access_token", kind, i)
							c[name] = Spec{Name: name, Policy: kind, Account: name, Owner: name, Fetcher: &upstream{answer: func(ctx context.Context, _ fetchers.Ask, _ int) (fetchers.Token, error) {
								return fetchers.Token{}, h.call(ctx, kind.String())
							}}}
						}
					}
					r := start(t, Config{Catalog: c, Timeout: timeout, Calls: calls})
					r.mustPush("ticket", time.Now())
					for _, child := range children {
						r.mustPut(customer(child, "refresh_token"), "refresh-"+child)
					}
					r.mustGet(component)
					refuse := func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
						if n%2 == 0 {
							return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
						}
						return fetchers.Token{}, h.call(ctx, "customer")
					}
					p.token.answers(refuse)
					p.code.answers(func(ctx context.Context, _ fetchers.Ask, _ int) (fetchers.Token, error) {
						return fetchers.Token{}, h.call(ctx, "code")
					})
					// Nobody pushes for long enough that the next look asks for it.
					time.Sleep(30*time.Minute - time.Millisecond)
					p.component.answers(func(ctx context.Context, _ fetchers.Ask, _ int) (fetchers.Token, error) {
						return fetchers.Token{}, h.call(ctx, "component")
					})
					var askers sync.WaitGroup
					for name, s := range c {
						if s.Fetcher == nil || name == platform+"/*" {
							continue
						}
						askers.Go(func() { _, _ = r.Get(context.Background(), name) })
					}
					for i := range 40 {
						askers.Go(func() { _, _ = r.Exchange(context.Background(), platform, secret.Text(fmt.Sprint("code-", i))) })
						askers.Go(func() { _, _ = r.Import(context.Background(), platform, i) })
					}
					time.Sleep(after)
					began := time.Now()
					r.stop()
					if took := time.Since(began); took > timeout+2*time.Second {
						t.Errorf("took %s", took)
					}
					askers.Wait()
					synctest.Wait()
					h.mu.Lock()
					defer h.mu.Unlock()
					for _, what := range []string{"nudge", "list", "customer", "code", "exchange", policy.StableToken.String(), policy.RotatingToken.String()} {
						if h.calls[what] == 0 && calls > 0 && tc.ends == nil {
							t.Errorf("%s: no call", what)
						}
					}
				})
			})
		}
	}
}

// TestStopCutsRepeatableCalls: what loses nothing by it ends with the stop.
func TestStopCutsRepeatableCalls(t *testing.T) {
	for name, ask := range map[string]func(r *rig){
		"recovery": func(r *rig) { _, _ = r.get(customer("wxa", "access_token")) },
		"import":   func(r *rig) { _, _ = r.Import(context.Background(), platform, 0) },
		"nudge":    func(*rig) { time.Sleep(30 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := &stuck{}
				p := newPlatform("wxa")
				p.list = func(int, int) (fetchers.AuthorizerPage, error) { return fetchers.AuthorizerPage{}, nil }
				p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
					return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
				})
				c := p.catalog()
				nudged := c[verify]
				nudged.Nudge = func(ctx context.Context) error { return h.call(ctx, "nudge") }
				c[verify] = nudged
				onboarding := c[platform+"/*"].Fetcher.(way)
				onboarding.Lister = stuckLister{h}
				c[platform+"/*"] = Spec{Name: platform + "/*", Fetcher: onboarding}
				r := start(t, Config{Catalog: c, Timeout: time.Minute})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "refresh")
				r.mustGet(component)
				var asker sync.WaitGroup
				asker.Go(func() { ask(r) })
				time.Sleep(30*time.Minute + time.Second)
				began := time.Now()
				if name != "nudge" {
					asker.Wait()
					asker.Go(func() { ask(r) })
					synctest.Wait()
				}
				r.stop()
				asker.Wait()
				if took := time.Since(began); took > 0 {
					t.Errorf("took %s", took)
				}
				if len(h.calls) == 0 {
					t.Error("no call")
				}
			})
		})
	}
}

// TestUntilStop holds that a context that the engine's stop ends is ended by its caller too.
func TestUntilStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, Config{Catalog: specs()})
		ctx, end := r.untilStop(t.Context())
		end()
		if ctx.Err() == nil {
			t.Error("its caller has not ended it")
		}
		ctx, end = r.untilStop(t.Context())
		defer end()
		if ctx.Err() != nil {
			t.Error("it has ended before the stop")
		}
		r.stop()
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the stop has not ended it")
		}
	})
}
