package wechattest

import "cmp"

// minAuthCode is the minimum length of an auth_code.
const minAuthCode = 64

func suiteEndpoints() map[string]endpoint {
	suiteOf := func(w *WeChat, r *request) string {
		if i := w.issued.byValue[r.query.Get("suite_access_token")]; i != nil && i.account.owner != nil {
			return i.account.id
		}
		return ""
	}
	return map[string]endpoint{
		SuiteToken: {
			post:     true,
			platform: always(wecom),
			caller:   func(_ *WeChat, r *request) string { return r.get("suite_id") },
			act:      (*WeChat).suiteToken,
		},
		SuitePreAuthCode: {
			platform: always(wecom),
			caller:   suiteOf,
			act:      (*WeChat).suitePreAuthCode,
		},
		PermanentCode: {
			post:     true,
			platform: always(wecom),
			caller:   suiteOf,
			act:      (*WeChat).permanentCode,
		},
		PermanentCodeV2: {
			post:     true,
			platform: always(wecom),
			caller:   suiteOf,
			act:      (*WeChat).permanentCodeV2,
		},
		AuthCorpToken: {
			post:     true,
			platform: always(wecom),
			caller: func(w *WeChat, r *request) string {
				if suite := suiteOf(w, r); suite != "" {
					return suite + "/" + r.get("auth_corpid")
				}
				return r.get("auth_corpid")
			},
			act: (*WeChat).authCorpToken,
		},
	}
}

// suiteCodes are the errcodes for calls with an invalid suite_access_token.
var suiteCodes = tokenCodes{missing: 41022, unknown: 40082, expired: 42009}

// suiteByToken returns the suite of the valid token in the call, or the answer to a call without
// one.
func (w *WeChat) suiteByToken(r *request) (*owner, answer) {
	i, code := w.held(r.query.Get("suite_access_token"), func(u universe) bool { return u == suiteTokens }, suiteCodes, r.now)
	if code != 0 {
		return nil, refuse(wecom, code)
	}
	return i.account.owner, answer{}
}

func (w *WeChat) suiteToken(r *request) answer {
	id, secret, ticket := r.get("suite_id"), r.get("suite_secret"), r.get("suite_ticket")
	o := w.accounts.suite(id)
	switch {
	case r.empty:
		return refuse(wecom, 44002)
	case r.body == nil:
		return refuse(wecom, 47001)
	case id == "":
		return refuse(wecom, 41021)
	case o == nil:
		return refuse(wecom, 40083)
	case secret == "":
		return refuse(wecom, 41024)
	case secret != o.account.secret:
		return refuse(wecom, 40080)
	case o.unlisted:
		return refuse(wecom, 60020)
	case ticket == "":
		return refuse(wecom, 41023)
	}
	t := w.issued.byValue[ticket]
	if t == nil || t.universe != suiteTickets || t.account != o.account || !t.live(r.now) {
		return refuse(wecom, 40085)
	}
	// A newer ticket does not cause a newer token.
	i := w.repeat(o.account, suiteTokens, r.now, 0)
	return give("suite_access_token", i, w.workLife(i, r.now), !w.set.SuitesSayNoErrcode)
}

func (w *WeChat) suitePreAuthCode(r *request) answer {
	o, no := w.suiteByToken(r)
	if o == nil {
		return no
	}
	i := w.issue(o.account, suitePreAuthCodes, r.now)
	return give("pre_auth_code", i, i.left(r.now), true)
}

// exchange returns the grant for the call's auth_code, or the answer to a wrong call.
func (w *WeChat) exchange(r *request) (*grant, answer) {
	o, no := w.suiteByToken(r)
	if o == nil {
		return nil, no
	}
	code := r.get("auth_code")
	if len(code) < minAuthCode {
		return nil, refuse(wecom, 40058)
	}
	g, refused := w.redeem(o, code, 40078, 42008, r.now)
	if refused != 0 {
		return nil, refuse(wecom, refused)
	}
	return g, answer{}
}

// corpInfo is the part of the answer that identifies the customer.
func corpInfo(g *grant) string {
	return `"auth_corp_info":{"corpid":` + quoted(g.child) + `,"corp_name":"` + cmp.Or(g.owner.quirks.Typed, "Customer") + `"},` +
		`"auth_user_info":{"userid":"admin","open_userid":"admin","name":"Admin","avatar":""}`
}

func (w *WeChat) permanentCodeV2(r *request) answer {
	g, no := w.exchange(r)
	if g == nil {
		return no
	}
	return answer{zero: true, grantField: "permanent_code", grant: g.current, more: corpInfo(g)}
}

func (w *WeChat) permanentCode(r *request) answer {
	g, no := w.exchange(r)
	if g == nil {
		return no
	}
	a, custom := answer{zero: true}, "true"
	if !g.owner.custom() {
		i := w.repeat(g.account, authCorpTokens, r.now, 0)
		a, custom = give("access_token", i, w.workLife(i, r.now), true), "false"
	}
	a.grantField, a.grant = "permanent_code", g.current
	a.more = corpInfo(g) + `,"auth_info":{"agent":[{"agentid":1000001,"name":"App","auth_mode":0,` +
		`"is_customized_app":` + custom + `,"auth_from_thirdapp":false,"privilege":{"level":1}}]}`
	return a
}

func (w *WeChat) authCorpToken(r *request) answer {
	o, no := w.suiteByToken(r)
	if o == nil {
		return no
	}
	corpid, code := r.get("auth_corpid"), r.get("permanent_code")
	g := o.grants[corpid]
	switch {
	case corpid == "":
		return refuse(wecom, 41002)
	case code == "":
		return refuse(wecom, 41025)
	case o.custom():
		return refuse(wecom, 48002) // the real errcode is not documented
	case g == nil || g.current == "":
		return refuse(wecom, 48004)
	case code != g.current:
		return refuse(wecom, 40084)
	}
	i := w.repeat(g.account, authCorpTokens, r.now, 0)
	return give("access_token", i, w.workLife(i, r.now), !w.set.SuitesSayNoErrcode)
}
