package wechattest

import (
	"slices"
	"time"
)

// grant is what a customer has given to an owner.
type grant struct {
	owner   *owner
	child   string // the customer: an authorizer's appid, a corpid
	account *account

	current string    // refresh token or permanent code; empty: the customer has taken it back
	before  string    // the refresh token that current replaced; empty: none that is still taken
	ends    time.Time // of before
	next    string    // what a reset will make current; empty: there was none

	codes     []*issue // codes that can be exchanged for it
	given     time.Time
	exchanged bool // once, since it was given
	hidden    bool // the list counts it and does not show it
}

// takes reports whether a refresh token is good.
func (g *grant) takes(refreshToken string, now time.Time) bool {
	return refreshToken != "" && (refreshToken == g.current || refreshToken == g.before && now.Before(g.ends))
}

// replace makes another refresh token the current one, and lets the one before
// be taken for overlap.
func (g *grant) replace(refreshToken string, now time.Time, overlap time.Duration) {
	g.before, g.ends = g.current, now.Add(overlap)
	g.current = refreshToken
}

// consent makes child a customer of o. Who is one already keeps its grant, as in
// practice; who has come back gets another.
func (w *WeChat) consent(o *owner, child string, now time.Time) *grant {
	g := o.grants[child]
	if g == nil {
		g = &grant{owner: o, child: child}
		g.account = &account{id: o.account.id + "/" + child, grant: g, lines: map[universe]*line{}}
		o.grants[child] = g
		o.customers = append(o.customers, g)
	}
	u := refreshTokens
	if o.suite {
		u, g.account.corp = permanentCodes, child
	}
	if g.current == "" {
		g.current, g.given, g.exchanged = w.text(u), now, false
	}
	return g
}

// newCode issues a code for g.
func (w *WeChat) newCode(g *grant, now time.Time) string {
	u := authorizationCodes
	if g.owner.suite {
		u = authCodes
	}
	i := w.issue(g.account, u, now)
	g.codes = slices.DeleteFunc(g.codes, func(i *issue) bool { return !i.live(now) })
	g.codes = append(g.codes, i)
	return i.value
}

// redeem exchanges a code, which it uses up, for the grant behind it, or returns
// the errcode for one that is unknown, used or another owner's, or over.
func (w *WeChat) redeem(o *owner, code string, unknown, expired int, now time.Time) (*grant, int) {
	i := w.issued.byValue[code]
	switch {
	case i == nil || i.universe != authorizationCodes && i.universe != authCodes:
		return nil, unknown
	case i.account.grant.owner != o || !i.dies.IsZero():
		return nil, unknown
	case !i.live(now):
		return nil, expired
	}
	i.killBy(now)
	g := i.account.grant
	if g.next != "" {
		g.current, g.next = g.next, ""
	}
	g.exchanged = true
	return g, 0
}

// customer returns the grant of an owner's customer, or nil where there is
// none or it was taken back.
func (w *WeChat) customer(owner, child string) *grant {
	if g := w.owner(owner).grants[child]; g != nil && g.current != "" {
		return g
	}
	return nil
}

// Authorize makes child, an appid or a corpid, a customer of a platform or suite, as its
// administrator does by consenting, and returns the code for the grant that the browser
// brings back. It queues the event that tells of it, authorized or create_auth, where
// the owner has a callback. Whoever has authorized already keeps the grant; whoever comes
// back after [WeChat.Unauthorize] gives another. It panics if there is no such owner.
func (w *WeChat) Authorize(owner, child string) (code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	o := w.owner(owner)
	code = w.newCode(w.consent(o, child, now), now)
	switch {
	case !o.suite:
		w.enqueue(o, Event{Kind: "authorized", Child: child, Code: code}, now)
	case !o.quirks.RedirectOnly:
		w.enqueue(o, Event{Kind: "create_auth", Code: code}, now)
	}
	return code
}

// AddCustomer makes child a customer of long ago: its code was exchanged, no event tells
// of it. It returns the grant, a refresh token or permanent code, for a
// configuration. It panics if there is no such owner.
func (w *WeChat) AddCustomer(owner, child string) (grant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.consent(w.owner(owner), child, time.Now())
	g.exchanged = true
	return g.current
}

// Hide leaves a customer out of the pages of its platform's list, which counts it all the same. It
// panics if there is no such owner.
func (w *WeChat) Hide(owner, child string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.customer(owner, child); g != nil {
		g.hidden = true
	}
}

// Unauthorize takes a customer's grant back: its tokens, tickets and codes end at
// once, and unauthorized or cancel_auth is queued. It does nothing to who is no
// customer, and panics if there is no such owner.
func (w *WeChat) Unauthorize(owner, child string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.customer(owner, child)
	if g == nil {
		return
	}
	now := time.Now()
	g.current, g.before, g.next = "", "", ""
	g.account.kill(now)
	for _, i := range g.codes {
		i.killBy(now)
	}
	kind := "unauthorized"
	if g.owner.suite {
		kind = "cancel_auth"
	}
	w.enqueue(g.owner, Event{Kind: kind, Child: child}, now)
}

// UpdateAuthorized is a customer changing what it permits: of a platform it queues
// updateauthorized and returns its new code, of a suite it queues change_auth, which has none.
// It does nothing to who is no customer, and panics if there is no such owner.
func (w *WeChat) UpdateAuthorized(owner, child string) (code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.customer(owner, child)
	if g == nil {
		return ""
	}
	now := time.Now()
	if g.owner.suite {
		w.enqueue(g.owner, Event{Kind: "change_auth", Child: child}, now)
		return ""
	}
	code = w.newCode(g, now)
	w.enqueue(g.owner, Event{Kind: "updateauthorized", Child: child, Code: code}, now)
	return code
}

// ResetPermanentCode is the provider asking for the secret of a custom-developed app
// again: it queues reset_permanent_code and returns its code, whose exchange ends the old
// permanent code, if [Settings.ResetKills] has not done so. It does nothing to who
// is no customer, and panics if there is no such owner.
func (w *WeChat) ResetPermanentCode(suite, corpid string) (code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.customer(suite, corpid)
	if g == nil || !g.owner.suite {
		return ""
	}
	now := time.Now()
	g.next = w.text(permanentCodes)
	if w.set.ResetKills {
		g.current = g.next
	}
	code = w.newCode(g, now)
	w.enqueue(g.owner, Event{Kind: "reset_permanent_code", Code: code}, now)
	return code
}

// CurrentGrant returns the refresh token or permanent code that WeChat regards as a
// customer's current one; empty where there is none. It panics if there is no such owner.
func (w *WeChat) CurrentGrant(owner, child string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.customer(owner, child); g != nil {
		return g.current
	}
	return ""
}
