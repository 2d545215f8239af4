package refresh

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

const (
	verify    = "open_platform/wxc/component_verify_ticket"
	component = "open_platform/wxc/component_access_token"
	preAuth   = "open_platform/wxc/pre_auth_code"
	platform  = "open_platform/wxc"
)

func customer(child, word string) string { return platform + "/" + child + "/" + word }

// platformOf is a platform with some customers, over a fake WeChat of which each part is
// a function that a test may replace.
type platformOf struct {
	component, token, ticket, code *upstream
	exchange                       exchangeFunc
	list                           pageFunc
	recover                        func(ctx context.Context, parent secret.Text) (secret.Text, error)
	nudges                         atomic.Int32
	children                       []string
}

type exchangeFunc func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error)

func (f exchangeFunc) Exchange(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
	return f(ctx, parent, code)
}

type pageFunc func(offset, count int) (fetchers.AuthorizerPage, error)

func (f pageFunc) Page(_ context.Context, _ secret.Text, offset, count int) (fetchers.AuthorizerPage, error) {
	return f(offset, count)
}

// recovery is the list of customers as the last resort for each of them: all are on one page, with
// what it returns.
type recovery struct{ p *platformOf }

func (r recovery) Page(ctx context.Context, parent secret.Text, _, _ int) (page fetchers.AuthorizerPage, err error) {
	for _, c := range r.p.children {
		a := fetchers.ListedAuthorizer{AppID: c}
		if a.RefreshToken, err = r.p.recover(ctx, parent); err != nil {
			return page, err
		}
		page.Authorizers = append(page.Authorizers, a)
	}
	page.Total = len(page.Authorizers)
	return page, nil
}

func newPlatform(children ...string) *platformOf {
	p := &platformOf{component: fresh(2 * time.Hour), token: fresh(2 * time.Hour), ticket: fresh(2 * time.Hour), code: fresh(30 * time.Minute), children: children}
	p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
		child, ok := strings.CutPrefix(string(code), "code-of-")
		if !ok {
			return fetchers.Authorization{}, refusal(61009, fetchers.CodeRefused)
		}
		t := token("first-"+child, 2*time.Hour)
		return fetchers.Authorization{Child: child, Grant: secret.Text("refresh-of-" + child), Token: &t}, nil
	}
	return p
}

func (p *platformOf) catalog() catalog {
	var lister Lister
	listed := ""
	switch {
	case p.recover != nil:
		lister, listed = recovery{p}, platform
	case p.list != nil:
		lister, listed = p.list, platform
	}
	all := []Spec{
		{Name: verify, Policy: policy.VerifyTicket, Nudge: func(context.Context) error { p.nudges.Add(1); return nil }},
		{Name: component, Policy: policy.ComponentToken, Parent: verify, Fetcher: p.component},
		{Name: preAuth, Policy: policy.PreAuthCode, Parent: component, Fetcher: p.code},
		{Name: platform + "/*", Fetcher: way{
			Parent:    component,
			Grant:     func(c string) string { return customer(c, "refresh_token") },
			Token:     func(c string) string { return customer(c, "access_token") },
			Exchanger: p.exchange, Lister: lister}},
	}
	for _, c := range p.children {
		grant := customer(c, "refresh_token")
		all = append(all,
			Spec{Name: grant, Policy: policy.RefreshToken},
			Spec{Name: customer(c, "access_token"), Policy: policy.AuthorizerToken, Parent: component, Grant: grant, Fetcher: p.token, Platform: listed, Child: c},
			Spec{Name: customer(c, "jsapi_ticket"), Policy: policy.AuthorizerTicket, Parent: customer(c, "access_token"), Grant: grant, Fetcher: p.ticket})
	}
	return specs(all...)
}

func (r *rig) mustPush(value string, at time.Time) {
	r.t.Helper()
	if err := r.Push(r.t.Context(), verify, secret.Text(value), at); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mustPut(name, value string) {
	r.t.Helper()
	if err := r.Put(r.t.Context(), name, secret.Text(value)); err != nil {
		r.t.Fatal(err)
	}
}
