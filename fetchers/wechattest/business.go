package wechattest

import (
	"maps"
	"net/http"
	"time"
)

// TokenParameters are the query parameters that carry a token to a business API.
var TokenParameters = []string{"access_token", "component_access_token", "suite_access_token", "provider_access_token"}

// Business returns a handler for a business API. It checks the token in the query of each request
// as every API of WeChat does, and calls next only if the token is valid. Otherwise it returns
// WeChat's error, which counts as an error of a corp. If a request has several tokens, the first of
// [TokenParameters] decides. Requests are not counted as calls, and faults do not apply to them.
func (w *WeChat) Business(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.isAway() {
			abort(r.Context())
		}
		if rep, ok := w.refuseToken(r); !ok {
			maps.Copy(rw.Header(), rep.header)
			rw.WriteHeader(rep.status)
			_, _ = rw.Write(rep.body) // an error means that the caller has gone
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// refuseToken checks the token of a request to a business API. ok is false if the reply is the
// answer.
func (w *WeChat) refuseToken(r *http.Request) (rep reply, ok bool) {
	q := &request{path: r.URL.Path, method: r.Method, host: r.Host, query: r.URL.Query(), now: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	p, i, code := w.businessToken(q)
	var corp string
	if i != nil {
		corp = q.corp(i.account.id)
	}
	switch {
	case p == wecom && w.blocked(corp, q.now):
		code = 45009
	case code == 0:
		return reply{}, true
	case p == wecom:
		w.refused(corp, q.now)
	}
	return w.decorate(p, refuse(p, code), q.now).wire(p), false
}

// businessToken returns the platform that a request addresses, the issue of its token if there is
// one, and the errcode unless the token is valid.
func (w *WeChat) businessToken(q *request) (platform, *issue, int) {
	for _, parameter := range TokenParameters {
		value := q.query.Get(parameter)
		if value == "" {
			continue
		}
		p, opens, codes := w.tokenRule(parameter, q)
		_, code := w.held(value, opens, codes, q.now)
		return p, w.issued.byValue[value], code
	}
	p := w.probed(q)
	return p, nil, w.accessCodes(p).missing
}

// tokenRule returns the rule for the token in a parameter.
func (w *WeChat) tokenRule(parameter string, q *request) (platform, func(universe) bool, tokenCodes) {
	only := func(want universe) func(universe) bool { return func(u universe) bool { return u == want } }
	switch parameter {
	case "component_access_token":
		return weixin, only(componentTokens), w.accessCodes(weixin)
	case "suite_access_token":
		return wecom, only(suiteTokens), suiteCodes
	case "provider_access_token":
		codes := w.accessCodes(wecom)
		codes.unknown = 40082
		return wecom, only(providerTokens), codes
	}
	p := w.probed(q)
	return p, func(u universe) bool { of, ok := u.access(); return ok && of == p }, w.accessCodes(p)
}

// KillNewest makes the newest valid value of an account invalid now. WeChat then answers a call
// with the value with errcode, or with the usual one if errcode is 0. The account is as in
// [Call.Account], and word is the value's name in WeChat's API, such as "access_token" or
// "jsapi_ticket". An official account has two independent kinds of access tokens, and both die.
// KillNewest returns false if the account does not exist or has no such value.
func (w *WeChat) KillNewest(account, word string, errcode int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	killed := false
	for _, a := range w.accounts.byID(account) {
		for u, s := range a.sequences {
			if u.word() == word && s.newest != nil && s.newest.live(now) {
				s.newest.killBy(now)
				s.newest.code = errcode
				killed = true
			}
		}
	}
	return killed
}
