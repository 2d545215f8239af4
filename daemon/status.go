package daemon

import (
	"context"

	"tokend/daemon/credential"
	"tokend/daemon/page"
	"tokend/daemon/survey"
	"tokend/daemon/throttle"
	"tokend/daemon/web"
)

// source is a running daemon for the status pages.
type source struct{ *surveyor }

var _ page.Source = source{}

func (s source) Look(ctx context.Context) survey.Survey { return s.measure(ctx) }

func (s source) Quotas(ctx context.Context) (used []credential.Quota) {
	w := s.engine.Walk(ctx)
	defer w.Rest()
	for q := range w.Quotas(true) {
		if q.Spent > 0 {
			used = append(used, *q)
		}
	}
	return used
}

func (s source) Recent(ctx context.Context, n int) []credential.Event {
	return s.engine.Recent(ctx, n)
}

func (s source) Details(names []string) []credential.Status {
	all := s.engine.Details(names)
	for i := range all {
		if c := &all[i]; c.Pushed {
			refused := s.inbox.Refused(credential.OwnerOf(c.Name))
			c.Refused = &refused
		}
	}
	return all
}

func (s source) Tickets() []string { return s.engine.Tickets() }

func (s source) History(name string) ([]credential.Attempt, error) { return s.engine.History(name) }

func (s source) Children(ctx context.Context, name string) []string {
	return s.engine.Children(ctx, name)
}

func (s source) User(uid uint32) string { return s.server.UserName(uid) }

func (s source) Begin(ctx context.Context) *throttle.Work { return s.throttle.Begin(ctx) }

// statusPages returns the status pages by path.
func statusPages(status *page.Page) map[string]web.Page {
	ask := func(a web.Ask) page.Ask { return page.Ask{Values: a.Values, Accept: a.Accept} }
	view := func(language string, body []byte) web.View {
		return web.View{Type: page.Type, Language: language, Policy: status.Policy(), Body: body}
	}
	all := func(ctx context.Context, a web.Ask) (web.View, error) {
		return view(status.Show(ctx, ask(a))), nil
	}
	return map[string]web.Page{
		"/":       all,
		"/status": all,
		"/credential": func(ctx context.Context, a web.Ask) (web.View, error) {
			language, body, found := status.Credential(ctx, ask(a))
			v := view(language, body)
			v.Missing = !found
			return v, nil
		},
		"/events": func(_ context.Context, a web.Ask) (web.View, error) {
			return web.View{Events: func(ctx context.Context, send func([]byte) error) error {
				return status.Follow(ctx, ask(a), send)
			}}, nil
		},
	}
}
