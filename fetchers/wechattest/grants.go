package wechattest

import (
	"slices"
	"time"
)

// grant is a customer's authorization of an owner.
type grant struct {
	owner   *owner
	child   string // the customer: an authorizer's appid, a corpid
	account *account

	current string     // refresh token or permanent code; empty: revoked
	before  []replaced // refresh tokens that may still be accepted
	next    string     // becomes current after a reset; empty: there was no reset

	codes     []*issue // codes that can be exchanged for the grant
	given     time.Time
	exchanged bool // at least once since it was given
	hidden    bool // the list counts it but does not show it
}

// takes reports whether a refresh token is accepted.
func (g *grant) takes(refreshToken string, now time.Time) bool {
	valid := func(r replaced) bool { return r.refreshToken == refreshToken && now.Before(r.ends) }
	return refreshToken != "" && (refreshToken == g.current || slices.ContainsFunc(g.before, valid))
}

// replaced is a refresh token that is accepted until ends.
type replaced struct {
	refreshToken string
	ends         time.Time
}

// replace makes another refresh token the current one. The previous one is accepted for overlap;
// those before it are only with all.
func (g *grant) replace(refreshToken string, now time.Time, overlap time.Duration, all bool) {
	g.before = slices.DeleteFunc(g.before, func(r replaced) bool { return !all || !now.Before(r.ends) })
	g.before = append(g.before, replaced{g.current, now.Add(overlap)})
	g.current = refreshToken
}

// consent makes child a customer of o. An existing customer keeps its grant, as in practice; a
// returning one gets a new grant.
func (w *WeChat) consent(o *owner, child string, now time.Time) *grant {
	g := o.grants[child]
	if g == nil {
		g = &grant{owner: o, child: child}
		g.account = &account{id: o.account.id + "/" + child, grant: g, sequences: map[universe]*sequence{}}
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

// redeem exchanges a code for its grant and uses the code up. It returns an errcode for a code that
// is unknown, used, another owner's, or expired.
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

// customer returns the grant of an owner's customer, or nil if there is none or it was revoked.
func (w *WeChat) customer(owner, child string) *grant {
	if g := w.owner(owner).grants[child]; g != nil && g.current != "" {
		return g
	}
	return nil
}

// Authorize makes child, an appid or a corpid, a customer of a platform or suite, as its
// administrator does by consenting. It returns the code that the browser's redirect contains. If
// the owner has a callback, it queues the event authorized or create_auth. An existing customer
// keeps its grant. A customer that returns after [WeChat.Unauthorize] gives a new one. Authorize
// panics if there is no such owner.
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

// AddCustomer makes child an old customer, whose code was exchanged earlier and for which there is
// no event. It returns the grant, a refresh token or permanent code, for a configuration. It panics
// if there is no such owner.
func (w *WeChat) AddCustomer(owner, child string) (grant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.consent(w.owner(owner), child, time.Now())
	g.exchanged = true
	return g.current
}

// Hide omits a customer from the pages of its platform's list, which still counts it. It panics if
// there is no such owner.
func (w *WeChat) Hide(owner, child string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.customer(owner, child); g != nil {
		g.hidden = true
	}
}

// Unauthorize revokes a customer's grant. The customer's tokens, tickets and codes become invalid,
// and unauthorized or cancel_auth is queued. It does nothing if child is not a customer, and panics
// if there is no such owner.
func (w *WeChat) Unauthorize(owner, child string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.customer(owner, child)
	if g == nil {
		return
	}
	now := time.Now()
	g.current, g.before, g.next = "", nil, ""
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

// UpdateAuthorized changes a customer's permissions. For a platform it queues updateauthorized and
// returns its new code. For a suite it queues change_auth, which has no code. It does nothing if
// child is not a customer, and panics if there is no such owner.
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

// ResetPermanentCode resets the secret of a custom-developed app, as its provider can. It queues
// reset_permanent_code and returns its code. The exchange of the code invalidates the old permanent
// code, unless [Settings.ResetKills] has already done so. It does nothing if corpid is not a
// customer, and panics if there is no such owner.
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

// CurrentGrant returns a customer's current refresh token or permanent code, or "" if there is
// none. It panics if there is no such owner.
func (w *WeChat) CurrentGrant(owner, child string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.customer(owner, child); g != nil {
		return g.current
	}
	return ""
}
