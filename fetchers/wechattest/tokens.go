package wechattest

import "time"

// universe is a sequence of an account's values in which each replaces the previous one. Values of
// different universes are independent.
type universe string

const (
	rotatingTokens universe = "access_token by /cgi-bin/token"
	stableTokens   universe = "access_token by /cgi-bin/stable_token"
	appTokens      universe = "access_token by /cgi-bin/gettoken"
	providerTokens universe = "provider_access_token"
	jsapiTickets   universe = "jsapi_ticket"
	cardTickets    universe = "wx_card_ticket"
	sdkTickets     universe = "sdk_ticket"
	corpTickets    universe = "jsapi_ticket of a corp"
	agentTickets   universe = "agent_config_ticket"

	componentTickets      universe = "component_verify_ticket"
	componentTokens       universe = "component_access_token"
	componentPreAuthCodes universe = "pre_auth_code of a platform"
	authorizationCodes    universe = "authorization_code"
	refreshTokens         universe = "authorizer_refresh_token"
	authorizerTokens      universe = "authorizer_access_token"

	suiteTickets      universe = "suite_ticket"
	suiteTokens       universe = "suite_access_token"
	suitePreAuthCodes universe = "pre_auth_code of a suite"
	authCodes         universe = "auth_code"
	permanentCodes    universe = "permanent_code"
	authCorpTokens    universe = "access_token by get_corp_token"

	downstreamTokens universe = "access_token by corpgroup/corp/gettoken"
)

// shape returns the form of the values of u. Sizes are as observed, if published anywhere.
func (u universe) shape() (prefix string, size int, alphabet string) {
	const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	switch u {
	case rotatingTokens, stableTokens, authorizerTokens:
		return "74_", 136, urlSafe
	case componentTokens:
		return "74_", 157, urlSafe
	case componentTickets:
		return "ticket@@@", 95, urlSafe
	case componentPreAuthCodes:
		return "preauthcode@@@", 100, urlSafe
	case authorizationCodes:
		return "queryauthcode@@@", 102, urlSafe
	case refreshTokens:
		return "refreshtoken@@@", 58, urlSafe
	case appTokens, authCorpTokens, downstreamTokens:
		return "", 214, urlSafe
	case providerTokens, suiteTokens, authCodes: // an auth_code has at least 64
		return "", 128, urlSafe
	case suiteTickets, suitePreAuthCodes:
		return "", 64, urlSafe
	case permanentCodes:
		return "", 43, urlSafe // like other app secrets
	case agentTickets:
		return "", 32, "0123456789abcdef"
	}
	return "", 86, urlSafe
}

// life returns the lifetime of the values of u, given the lifetime of a token. The proportions are
// those of the documented figures.
func (u universe) life(token time.Duration) time.Duration {
	switch u {
	case componentTickets:
		return 6 * token // 12 h
	case authorizationCodes:
		return token / 2 // 1 h; assumed, because it is not documented
	case suiteTickets:
		return token / 4 // 30 min
	case componentPreAuthCodes:
		return token / 4 // 1800 s by the text; the page's own sample has 600
	case suitePreAuthCodes:
		return token / 6 // 1200 s
	case authCodes:
		return token / 12 // 10 min
	}
	return token
}

// access reports whether the business APIs accept values of u, and on which platform. Few APIs
// accept a component_access_token; the probe is one of them.
func (u universe) access() (p platform, ok bool) {
	switch u {
	case rotatingTokens, stableTokens, componentTokens, authorizerTokens:
		return weixin, true
	case appTokens, authCorpTokens, downstreamTokens:
		return wecom, true
	}
	return 0, false
}

// word returns the name of the values of u in WeChat's API.
func (u universe) word() string {
	switch u {
	case rotatingTokens, stableTokens, appTokens, authorizerTokens, authCorpTokens, downstreamTokens:
		return "access_token"
	case corpTickets:
		return "jsapi_ticket"
	case suiteTokens:
		return "suite_access_token"
	case componentPreAuthCodes, suitePreAuthCodes:
		return "pre_auth_code"
	}
	return string(u)
}

// issue is one issued value.
type issue struct {
	value    string
	account  *account
	universe universe
	made     time.Time
	ends     time.Time // by its lifetime
	dies     time.Time // earlier, because it was replaced or killed; zero if not
	code     int       // errcode for calls with it once it is dead; 0: the usual one
}

func (i *issue) live(now time.Time) bool {
	return now.Before(i.ends) && (i.dies.IsZero() || now.Before(i.dies))
}

// killBy makes i invalid at t, unless it already is by then.
func (i *issue) killBy(t time.Time) {
	if i != nil && (i.dies.IsZero() || t.Before(i.dies)) {
		i.dies = t
	}
}

// left returns the remaining lifetime as in expires_in: whole seconds, and 1 for less than one.
func (i *issue) left(now time.Time) int64 {
	return max(1, int64(i.ends.Sub(now)/time.Second))
}

// sequence is the state of an account's universe.
type sequence struct{ newest, before *issue }

// ledger remembers issued values for one lifetime after their expiry, so that they are reported as
// expired rather than unknown.
type ledger struct {
	byValue map[string]*issue
	inOrder []*issue // in order of issue; a long-lived value keeps later ones a while longer
	n       int      // number of values ever issued
}

func (l *ledger) add(i *issue, keep time.Duration) {
	l.n++
	l.byValue[i.value] = i
	l.inOrder = append(l.inOrder, i)
	for len(l.inOrder) > 0 && i.made.Sub(l.inOrder[0].ends) > keep {
		delete(l.byValue, l.inOrder[0].value)
		l.inOrder[0] = nil
		l.inOrder = l.inOrder[1:]
	}
}

// text generates a value of u.
func (w *WeChat) text(u universe) string {
	prefix, size, alphabet := u.shape()
	if w.valueSize > 0 {
		size = max(w.valueSize, len(prefix)+16) // shorter ones would soon repeat
	}
	value := []byte(prefix)
	for len(value) < size {
		value = append(value, alphabet[w.rand.IntN(len(alphabet))])
	}
	return string(value)
}

// issue issues an independent value of u: a pushed ticket or a code.
func (w *WeChat) issue(a *account, u universe, made time.Time) *issue {
	i := &issue{value: w.text(u), account: a, universe: u, made: made, ends: made.Add(u.life(w.set.Lifetime))}
	w.issued.add(i, w.set.Lifetime)
	return i
}

// make issues the next value of a's universe u. The caller handles the previous values.
func (w *WeChat) make(a *account, u universe, now time.Time) *issue {
	i := w.issue(a, u, now)
	s := a.sequence(u)
	s.newest, s.before = i, s.newest
	return i
}

// rotate issues a new value. The previous one stays valid for overlap, and the one before becomes
// invalid. How many generations are valid is not documented; clients can rely on two.
func (w *WeChat) rotate(a *account, u universe, now time.Time, overlap time.Duration) *issue {
	s := a.sequence(u)
	s.before.killBy(now)
	s.newest.killBy(now.Add(overlap))
	return w.make(a, u, now)
}

// repeat returns the newest value of a's universe u while more than ahead remains, and otherwise a
// new one. The previous one stays valid until it expires.
func (w *WeChat) repeat(a *account, u universe, now time.Time, ahead time.Duration) *issue {
	if i := a.sequence(u).newest; i != nil && i.live(now) && i.ends.Sub(now) > ahead {
		return i
	}
	return w.make(a, u, now)
}

// Valid reports whether WeChat would accept the token or ticket value now.
func (w *WeChat) Valid(value string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.issued.byValue[value]
	return i != nil && i.live(time.Now())
}

// Ends returns when a token or ticket expires or expired: by its lifetime, or because it was
// replaced or killed. It is zero for a value that WeChat never issued or has forgotten. With Ends,
// a test can check whether a value that arrived now was valid when it was requested.
func (w *WeChat) Ends(value string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.issued.byValue[value]
	switch {
	case i == nil:
		return time.Time{}
	case !i.dies.IsZero() && i.dies.Before(i.ends):
		return i.dies
	}
	return i.ends
}

// SetValueSize sets the length in bytes of values issued from now on. 0 restores the usual length.
// The minimum is the prefix of the kind plus 16. WeCom's documentation allows 512.
func (w *WeChat) SetValueSize(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.valueSize = n
}

// Kill makes one value invalid now, as WeCom sometimes does "for operational reasons". The next
// call returns another.
func (w *WeChat) Kill(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued.byValue[value].killBy(time.Now())
}

// KillAll makes every token and ticket invalid that an account has fetched. account is written as
// in [Call.Account]. Values pushed to it and values fetched by its customers stay valid.
func (w *WeChat) KillAll(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, a := range w.accounts.byID(account) {
		a.kill(now)
	}
}

// kill makes everything invalid that a has fetched.
func (a *account) kill(now time.Time) {
	for _, s := range a.sequences {
		s.newest.killBy(now)
		s.before.killBy(now)
	}
}
