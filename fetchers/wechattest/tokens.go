package wechattest

import "time"

// universe is one of the sequences in which an account's values follow each
// other; values of different universes do not touch each other.
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

// shape is what values of the universe look like: sizes as observed, where
// anybody has written them down.
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
	case providerTokens, suiteTokens, authCodes: // of an auth_code 64 at the least
		return "", 128, urlSafe
	case suiteTickets, suitePreAuthCodes:
		return "", 64, urlSafe
	case permanentCodes:
		return "", 43, urlSafe // as other app secrets
	case agentTickets:
		return "", 32, "0123456789abcdef"
	}
	return "", 86, urlSafe
}

// life is how long values of the universe live, by the lifetime of a token: the
// proportions are those of the documented figures.
func (u universe) life(token time.Duration) time.Duration {
	switch u {
	case componentTickets:
		return 6 * token // 12 h
	case authorizationCodes:
		return token / 2 // 1 h; assumed, nobody says
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

// access reports whether values of the universe open the business APIs, and of
// which platform. A component_access_token opens few of them, the probe among these.
func (u universe) access() (p platform, ok bool) {
	switch u {
	case rotatingTokens, stableTokens, componentTokens, authorizerTokens:
		return weixin, true
	case appTokens, authCorpTokens, downstreamTokens:
		return wecom, true
	}
	return 0, false
}

// issue is one value that was issued.
type issue struct {
	value    string
	account  *account
	universe universe
	made     time.Time
	ends     time.Time // by its lifetime
	dies     time.Time // before that, because it was replaced or killed; zero if it was not
}

func (i *issue) live(now time.Time) bool {
	return now.Before(i.ends) && (i.dies.IsZero() || now.Before(i.dies))
}

// killBy makes i die at t, unless it dies before.
func (i *issue) killBy(t time.Time) {
	if i != nil && (i.dies.IsZero() || t.Before(i.dies)) {
		i.dies = t
	}
}

// left returns the life that remains, as expires_in says it: whole seconds, and
// 1 where less is left.
func (i *issue) left(now time.Time) int64 {
	return max(1, int64(i.ends.Sub(now)/time.Second))
}

// line is where a universe of an account stands.
type line struct{ newest, before *issue }

// ledger remembers what was issued, for a lifetime after its end: long enough to call
// a token expired rather than unknown.
type ledger struct {
	byValue map[string]*issue
	inOrder []*issue // of issue; one that lives long keeps those behind it a while longer
	n       int      // how many there ever were
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

// text makes up a value of u.
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

// issue makes a value of u that stands for itself: a pushed ticket or a code.
func (w *WeChat) issue(a *account, u universe, made time.Time) *issue {
	i := &issue{value: w.text(u), account: a, universe: u, made: made, ends: made.Add(u.life(w.set.Lifetime))}
	w.issued.add(i, w.set.Lifetime)
	return i
}

// make issues the next value of a's universe u. What the values before it become is
// the caller's to say.
func (w *WeChat) make(a *account, u universe, now time.Time) *issue {
	i := w.issue(a, u, now)
	l := a.line(u)
	l.newest, l.before = i, l.newest
	return i
}

// rotate issues a new value and lets the one before it live for overlap. The one
// before that dies: how many generations live is not documented, and two is
// what a client can rely on.
func (w *WeChat) rotate(a *account, u universe, now time.Time, overlap time.Duration) *issue {
	l := a.line(u)
	l.before.killBy(now)
	l.newest.killBy(now.Add(overlap))
	return w.make(a, u, now)
}

// repeat answers the newest value of a's universe u while more than ahead is
// left of it, and else a new one, which lets the one before it live to its end.
func (w *WeChat) repeat(a *account, u universe, now time.Time, ahead time.Duration) *issue {
	if i := a.line(u).newest; i != nil && i.live(now) && i.ends.Sub(now) > ahead {
		return i
	}
	return w.make(a, u, now)
}

// Valid reports whether value is a token or ticket that WeChat would accept
// now.
func (w *WeChat) Valid(value string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.issued.byValue[value]
	return i != nil && i.live(time.Now())
}

// Ends returns when the life of a token or ticket ends, or has ended: by its lifetime, or because
// it was replaced or killed. It is zero for what WeChat never issued, or has forgotten. By it a
// test can say of a value that arrived now whether it was good when it was asked for.
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

// SetValueSize makes whatever is issued from now on n bytes long; 0 gives it back its usual size,
// and too few are 16 behind what its kind begins with. WeCom's documentation allows 512.
func (w *WeChat) SetValueSize(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.valueSize = n
}

// Kill ends the life of one value now, as WeCom does at times "for operational reasons".
// The next call gets another.
func (w *WeChat) Kill(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued.byValue[value].killBy(time.Now())
}

// KillAll ends the life of every token and ticket now that an account has fetched: an
// appid, a "corpid/agentid", a provider's corpid, a suite, or a customer or downstream corp as
// [Call.Account] has it. What was pushed to it lives on, and so does what its customers fetched.
func (w *WeChat) KillAll(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, a := range w.accounts.byID(account) {
		a.kill(now)
	}
}

// kill ends the life of all that a has fetched.
func (a *account) kill(now time.Time) {
	for _, l := range a.lines {
		l.newest.killBy(now)
		l.before.killBy(now)
	}
}
