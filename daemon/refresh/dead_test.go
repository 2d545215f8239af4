package refresh

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// deadPlatform is a platform whose component token WeChat regards as dead as soon as dead is set.
// The token's refresh is refused then, so that tokend holds it while its value has not ended.
type deadPlatform struct {
	*platformOf
	dead             atomic.Bool
	codes, recovered atomic.Int32
	pages            atomic.Int32
}

func newDeadPlatform(children ...string) *deadPlatform {
	p := &deadPlatform{platformOf: newPlatform(children...)}
	death := refusal(42001, fetchers.ParentDead)
	p.component.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
		if p.dead.Load() {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}
		return token(fmt.Sprint("component-", n), 2*time.Hour), nil
	})
	p.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
		if p.dead.Load() {
			return fetchers.Token{}, death
		}
		return token(fmt.Sprint("token-", n), 2*time.Hour), nil
	})
	exchange := p.exchange
	p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
		p.codes.Add(1)
		if p.dead.Load() {
			return fetchers.Authorization{}, death
		}
		return exchange(ctx, parent, code)
	}
	p.list = func(int, int) (fetchers.AuthorizerPage, error) {
		p.pages.Add(1)
		return fetchers.AuthorizerPage{}, death
	}
	return p
}

// held starts an engine that has the component token, which dies then.
func (p *deadPlatform) held(t *testing.T) *rig {
	r := start(t, Config{Catalog: p.catalog()})
	r.mustPush("ticket", time.Now())
	for _, c := range p.children {
		r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
	}
	r.mustGet(component)
	p.dead.Store(true)
	return r
}

// TestDeadParentHeld: a parent's value that WeChat has refused is not used again while the parent
// cannot be replaced, whatever it is to be used for.
func TestDeadParentHeld(t *testing.T) {
	for name, f := range map[string]func(t *testing.T){
		"read": func(t *testing.T) {
			p := newDeadPlatform("wxa")
			r := p.held(t)
			for range 1000 {
				_, err := r.get(customer("wxa", "access_token"))
				e := mustReason(t, err, credential.Refused)
				if e.Message != "errcode=40125 no" || e.RetryAfter <= 0 {
					t.Fatalf("got %q after %v, want the parent's error and seconds", e.Message, e.RetryAfter)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if n := p.token.count(); n != 1 {
				t.Errorf("calls in 100 s: got %d, want 1", n)
			}
			p.dead.Store(false)
			if _, err := r.Refresh(t.Context(), component); err != nil {
				t.Fatal(err)
			}
			r.mustGet(customer("wxa", "access_token"))
		},
		"end of the hold": func(t *testing.T) {
			p := newDeadPlatform("wxa")
			r := p.held(t)
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, credential.Refused)
			p.dead.Store(false)
			time.Sleep(6 * time.Minute) // the hold of five ends, and the parent wakes its child
			if _, ok := r.Cached([]byte(customer("wxa", "access_token"))); !ok || p.token.count() != 2 {
				t.Errorf("%d calls, a value: %v; want 2 and one", p.token.count(), ok)
			}
		},
		"many customers": func(t *testing.T) {
			var children []string
			for i := range 500 {
				children = append(children, fmt.Sprint("wx", i))
			}
			p := newDeadPlatform(children...)
			answer := p.token.answer
			p.token.answers(func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
				time.Sleep(50 * time.Millisecond)
				return answer(ctx, ask, n)
			})
			r := p.held(t)
			var wg sync.WaitGroup
			for _, c := range children {
				wg.Go(func() {
					_, err := r.get(customer(c, "access_token"))
					if reason(err) != credential.Refused {
						t.Errorf("%s: got %v", c, err)
					}
				})
			}
			wg.Wait()
			// Those under way at once when the first is refused.
			if n, most := p.token.count(), new(Config).calls(); n > most {
				t.Errorf("calls for 500 readers at once: got %d, want %d at most", n, most)
			}
			if n, made := r.counts.fetches.Load(), int64(p.token.count()+p.component.count()); n != made {
				t.Errorf("%d calls were counted, and %d made", n, made)
			}
		},
		"code": func(t *testing.T) {
			p := newDeadPlatform("wxa")
			r := p.held(t)
			if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Minute)
			if n := p.codes.Load(); n != 1 {
				t.Errorf("calls in half an hour: got %d, want 1", n)
			}
			if n := strings.Count(r.log(), "could not be exchanged"); n > 3*60 {
				t.Errorf("tries in half an hour: got %d, want one in ten seconds at most", n)
			}
			p.dead.Store(false)
			if _, err := r.Refresh(t.Context(), component); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if v := r.mustGet(customer("wxa", "access_token")); v != "first-wxa" {
				t.Errorf("got %q, want the token that came with the code", v)
			}
		},
		"exchange": func(t *testing.T) {
			p := newDeadPlatform("wxa")
			r := p.held(t)
			for n := range 100 {
				_, err := r.Exchange(t.Context(), platform, secret.Text(fmt.Sprint("code-", n)))
				if e := mustReason(t, err, credential.Refused); e.Message != "errcode=40125 no" {
					t.Fatalf("got %q, want the parent's error", e.Message)
				}
			}
			if n := p.codes.Load(); n != 1 {
				t.Errorf("calls for 100 codes: got %d, want 1", n)
			}
		},
		"import": func(t *testing.T) {
			p := newDeadPlatform()
			r := p.held(t)
			for range 100 {
				_, err := r.Import(t.Context(), platform, 0)
				mustReason(t, err, credential.Refused)
			}
			if n := p.pages.Load(); n != 1 {
				t.Errorf("calls for 100 pages: got %d, want 1", n)
			}
		},
		"recovery": func(t *testing.T) {
			p := newDeadPlatform("wxa")
			p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			})
			p.recover = func(context.Context, secret.Text) (secret.Text, error) {
				p.recovered.Add(1)
				return "", refusal(42001, fetchers.ParentDead)
			}
			r := p.held(t)
			for range 100 {
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, credential.Refused)
			}
			if n, m := p.recovered.Load(), p.token.count(); n != 1 || m != 1 {
				t.Errorf("got %d calls of the list and %d of the token, want 1 of each", n, m)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, f) })
	}
}

// TestDeadGrandparentHeld: a value that is dead and cannot be replaced, because its own parent is
// dead and held, is not used again either. Readers of its children, and clients that reject it,
// get the error of the held parent.
func TestDeadGrandparentHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newDeadPlatform("wxa")
		p.ticket.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40001, fetchers.ParentDead)
		})
		name := customer("wxa", "access_token")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		value := r.mustGet(name)
		p.dead.Store(true)
		before := p.token.count()
		for range 100 {
			_, read := r.get(customer("wxa", "jsapi_ticket"))
			_, rejected := r.Reject(t.Context(), name, secret.Text(value))
			for _, err := range []error{read, rejected} {
				if e := mustReason(t, err, credential.Refused); e.Message != "errcode=40125 no" || e.RetryAfter <= 4*time.Minute {
					t.Fatalf("got %q after %v, want the held one's error and seconds", e.Message, e.RetryAfter)
				}
			}
		}
		if n, m := p.ticket.count(), p.token.count()-before; n != 1 || m != 1 {
			t.Errorf("got %d calls for the ticket and %d for the token, want 1 of each", n, m)
		}
	})
}

// TestDeadParentUnreachable: likewise while the parent's refresh fails for another reason.
func TestDeadParentUnreachable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newDeadPlatform("wxa")
		r := p.held(t)
		p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, away()
		})
		for range 600 {
			_, err := r.get(customer("wxa", "access_token"))
			if e, ok := err.(*credential.Error); !ok || e.Reason != credential.Unreachable && e.Reason != credential.Limited || e.RetryAfter < 0 {
				t.Fatalf("got %v, want the parent's error", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := p.token.count(); n != 1 {
			t.Errorf("calls in a minute: got %d, want 1", n)
		}
	})
}

// TestDeadParentRepeated: when WeChat answers the refused value again, the children use it again.
func TestDeadParentRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newDeadPlatform("wxa", "wxb")
		r := p.held(t)
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Refused)
		p.dead.Store(false)
		p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return token("component-1", time.Hour), nil
		})
		en := r.index.get(component)
		en.mu.Lock()
		en.hold = nil // as at its end, before the schedule comes
		en.mu.Unlock()
		r.mustGet(customer("wxb", "access_token"))
	})
}

// TestEndedParentNotUsed: a call that waits is not made with a value of the parent that has expired
// since.
func TestEndedParentNotUsed(t *testing.T) {
	for name, c := range map[string]struct {
		busy  bool // WeChat is, and the call is repeated after the end
		calls int
	}{"pause": {busy: true, calls: 1}, "slot": {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				parent, child, other := fresh(time.Minute), fresh(time.Hour), fresh(time.Hour)
				parent.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
					if n > 1 {
						return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
					}
					return token("parent", time.Minute), nil
				})
				child.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
					if c.busy {
						return fetchers.Token{}, refusal(-1, fetchers.Retry)
					}
					return token("child", time.Hour), nil
				})
				other.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
					time.Sleep(time.Second)
					return token("other", time.Hour), nil
				})
				r := start(t, Config{Calls: 1, Catalog: specs(
					Spec{Name: app, Policy: policy.StableToken, Fetcher: parent},
					Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: child},
					Spec{Name: app2, Policy: policy.StableToken, Fetcher: other})})
				r.mustGet(app)
				time.Sleep(time.Minute - 500*time.Millisecond)
				var wg sync.WaitGroup
				if !c.busy {
					wg.Go(func() { r.mustGet(app2) })
					synctest.Wait() // it has the only slot
				}
				_, err := r.get(tick)
				if e := mustReason(t, err, credential.Refused); e.Message != "errcode=40125 no" || e.RetryAfter <= 0 {
					t.Errorf("got %q after %v, want the parent's error and seconds", e.Message, e.RetryAfter)
				}
				if n := child.count(); n != c.calls {
					t.Errorf("calls: got %d, want %d", n, c.calls)
				}
				wg.Wait()
			})
		})
	}
}

// TestFoughtParent: another program keeps replacing the parent. When tokend does not replace it as
// often, its children make no calls in between.
func TestFoughtParent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var children []string
		for i := range 100 {
			children = append(children, fmt.Sprint("wx", i))
		}
		p := newPlatform(children...)
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(42001, fetchers.ParentDead)
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
		}
		for range 10 {
			for _, c := range children {
				if _, err := r.get(customer(c, "access_token")); err == nil {
					t.Fatal("got a token")
				}
			}
			time.Sleep(6 * time.Second)
		}
		// Two for each replacement of the parent, and one for the last value.
		if n, m := p.token.count(), p.component.count(); m > rejectBurst+3 || n > 2*m+1 {
			t.Errorf("calls for 1000 reads in a minute: %d for the children and %d for the parent", n, m)
		}
	})
}

// TestRepeatedParentNotDead: where WeChat repeats the value that it has refused to one child, the
// others still use it.
func TestRepeatedParentNotDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return token("component", 2*time.Hour), nil
		})
		p.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Grant == "refresh-wxa" {
				return fetchers.Token{}, refusal(42001, fetchers.ParentDead)
			}
			return token("token", time.Hour), nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range p.children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
		}
		for range 10 {
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, credential.Refused)
		}
		r.mustGet(customer("wxb", "access_token"))
		if n := p.token.count(); n != 2 {
			t.Errorf("calls: got %d, want one for each child", n)
		}
	})
}
