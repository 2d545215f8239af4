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
	corpTickets    universe = "jsapi_ticket of a corp"
	agentTickets   universe = "agent_config_ticket"
)

// shape is what values of the universe look like: sizes as observed.
func (u universe) shape() (prefix string, size int, alphabet string) {
	const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	switch u {
	case rotatingTokens, stableTokens:
		return "74_", 136, urlSafe
	case appTokens:
		return "", 214, urlSafe
	case providerTokens:
		return "", 128, urlSafe
	case agentTickets:
		return "", 32, "0123456789abcdef"
	}
	return "", 86, urlSafe
}

// access reports whether values of the universe open the business APIs, and of
// which platform.
func (u universe) access() (p platform, ok bool) {
	switch u {
	case rotatingTokens, stableTokens:
		return weixin, true
	case appTokens:
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
	inOrder []*issue // of issue, and so of their ends
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

// make issues the next value of a's universe u. What the values before it become is
// the caller's to say.
func (w *WeChat) make(a *account, u universe, now time.Time) *issue {
	prefix, size, alphabet := u.shape()
	if w.valueSize > 0 {
		size = max(w.valueSize, 16) // shorter ones would soon repeat
	}
	value := []byte(prefix)
	for len(value) < size {
		value = append(value, alphabet[w.rand.IntN(len(alphabet))])
	}
	i := &issue{value: string(value), account: a, universe: u, made: now, ends: now.Add(w.set.Lifetime)}
	w.issued.add(i, w.set.Lifetime)
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

// SetValueSize makes whatever is issued from now on n bytes long; 0 gives it back its
// usual size, and fewer than 16 are 16. WeCom's documentation allows 512.
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

// KillAll ends the life of every value of an account now: of an appid, a "corpid/agentid", or
// a provider's corpid.
func (w *WeChat) KillAll(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, a := range w.accounts.byID(account) {
		for _, l := range a.lines {
			l.newest.killBy(now)
			l.before.killBy(now)
		}
	}
}
