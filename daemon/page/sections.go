package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
)

const (
	// maxArticles is how many causes of trouble are shown.
	maxArticles = 12

	// maxMembers is how many credentials are named in one article, of each list.
	maxMembers = 4
)

// attention fills in what needs attention.
func (w *words) attention(v *view, s *snapshot) {
	shown := 0
	for i, t := range s.troubles {
		if i == maxArticles {
			break
		}
		v.Articles = append(v.Articles, w.article(t, s.At))
		shown += len(t.names) + len(t.also)
	}
	if rest := s.bad - shown; rest > 0 {
		v.Unexamined = fmt.Sprintf(w.More, grouped(rest))
	}
	v.AllBad = query{state: badState}.values(w.Code)
}

// article returns a cause of trouble as of now.
func (w *words) article(t trouble, now time.Time) article {
	c := t.Status
	a := article{
		State: c.State.String(), StateText: w.stateText(c.State.String()), Heading: c.Name, Link: w.page(c.Name),
		Message: c.LastError, Lost: !c.Durable, Advice: w.Language.About(c),
	}
	if len(t.names) > 1 {
		a.Heading, a.Link = w.Language.Title(advice.Of(c))+" · "+fmt.Sprintf(w.Same, grouped(len(t.names))), ""
		a.Members, a.Others = w.links(t.names)
	}
	a.Also, a.AlsoOthers = w.links(t.also)
	if c.TTL > 0 && len(t.names) == 1 {
		left := w.left(c.ExpiresAt, now)
		a.Left = &left
	}
	if !c.ErrorAt.IsZero() {
		a.Since = clock(c.ErrorAt, now)
	}
	a.Again = w.again(c, now)
	return a
}

// again returns when the next attempt is made after a failure; "" if nothing failed.
func (w *words) again(c *credential.Status, now time.Time) string {
	switch {
	case c.LastError == "":
	case !c.HoldUntil.IsZero():
		return fmt.Sprintf(w.Again, w.span(max(c.HoldUntil.Sub(now), 0)))
	case c.Held:
		return w.NotAgain
	}
	return ""
}

// links returns the links to credentials, and the number of those that are too many.
func (w *words) links(names []string) (links []link, others string) {
	for _, name := range names[:min(len(names), maxMembers)] {
		links = append(links, link{name, w.page(name)})
	}
	if rest := len(names) - maxMembers; rest > 0 {
		others = fmt.Sprintf(w.More, grouped(rest))
	}
	return links, others
}

// feed fills in the last events.
func (w *words) feed(v *view, s *snapshot) {
	for _, e := range s.events {
		v.Feed = append(v.Feed, w.event(e.Name, e.Attempt, s.At))
	}
}

// event returns a refresh as of now.
func (w *words) event(name string, a credential.Attempt, now time.Time) event {
	e := event{Name: name, Link: w.page(name), Clock: clock(a.At, now), ISO: a.At.UTC().Format(time.RFC3339), Class: class(a), Cause: w.Causes[a.Cause.String()]}
	e.Outcome = w.outcome(name, a)
	return e
}

// outcome returns the outcome of a refresh in a few words.
func (w *words) outcome(name string, a credential.Attempt) string {
	if text := w.Outcomes[a.Outcome]; text != "" {
		return text
	}
	text := w.Outcomes["failed"]
	switch {
	case a.ErrCode != 0:
		text += ": " + strings.TrimSpace("errcode "+strconv.Itoa(a.ErrCode)+" "+w.Language.Meaning(name, a.ErrCode))
	default:
		text += ": " + a.Outcome
	}
	return text
}

// class returns the kind of mark for a refresh: failed, rejected, pushed, or ok.
func class(a credential.Attempt) string {
	switch {
	case a.Outcome != "ok" && a.Outcome != "same":
		return "failed"
	case a.Cause == credential.CauseReject:
		return "rejected"
	case a.Cause == credential.CausePush:
		return "pushed"
	}
	return "ok"
}

// customers fills in the counts of customers' credentials and the holds.
func (w *words) customers(v *view, s *snapshot) {
	for _, c := range s.Census.Customers {
		shown := crowd{Platform: c.Platform, Kind: c.Kind}
		for state, n := range c.States {
			if n > 0 {
				word := credential.State(state).String()
				shown.Counts = append(shown.Counts, tile{State: word, Text: w.stateText(word), N: grouped(n)})
			}
		}
		v.Crowds = append(v.Crowds, shown)
	}
	for _, h := range s.Census.Holds {
		if !slices.ContainsFunc(s.Census.Customers, func(c credential.CustomerStates) bool { return c.Kind == h.Kind }) {
			continue // configured credentials have rows of their own
		}
		shown := held{Kind: h.Kind, N: grouped(h.N), Why: h.Reason.String(), Advice: w.Language.Advise(advice.Because(h.Reason, h.Reaction), advice.Subject{})}
		if h.ErrCode != 0 {
			shown.Why = "errcode " + strconv.Itoa(h.ErrCode)
		}
		v.Held = append(v.Held, shown)
	}
}

// figures returns the counters since the start.
func (w *words) figures(s *snapshot) figures {
	var failed, pushed int64
	for _, e := range s.Socket.Errors {
		failed += e.N
	}
	for _, k := range s.Survey.Pushes.Kinds {
		pushed += k.N
	}
	n := figures{
		Reads: grouped(s.Socket.Reads), Hits: grouped(s.Socket.Hits), Waits: grouped(s.Socket.Waits), Errors: grouped(failed),
		Open: grouped(s.Socket.Open), TurnedOff: grouped(s.Socket.TurnedAway),
		Refreshes: grouped(s.Refreshes.OK + s.Refreshes.Same + s.Refreshes.Failed), Failed: grouped(s.Refreshes.Failed),
		Pushes: grouped(pushed - s.Survey.Pushes.Failed), PushesRefused: grouped(s.Survey.Pushes.Refused + s.Survey.Pushes.Failed),
	}
	var hosts []string
	for _, h := range s.Hosts {
		if h.Used && !slices.Contains(hosts, h.Name) {
			hosts = append(hosts, h.Name)
		}
	}
	n.Hosts = strings.Join(hosts, w.Comma)
	for _, e := range s.Endpoints {
		shown := endpoint{Path: e.Path, Calls: grouped(e.Calls()), Refused: grouped(e.Refused), Unreachable: grouped(e.Unreachable), Average: w.None}
		if n := e.Calls(); n > 0 {
			shown.Average = strconv.FormatInt((e.Took/time.Duration(n)).Milliseconds(), 10) + " ms"
		}
		n.Endpoints = append(n.Endpoints, shown)
	}
	return n
}
