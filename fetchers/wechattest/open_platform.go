package wechattest

import (
	"cmp"
	"strconv"
	"strings"
)

// maxListed is the largest page of the list.
const maxListed = 500

func openPlatformEndpoints() map[string]endpoint {
	platform := func(_ *WeChat, r *request) string { return r.get("component_appid") }
	customer := func(_ *WeChat, r *request) string { return r.get("component_appid") + "/" + r.get("authorizer_appid") }
	post := func(caller func(*WeChat, *request) string, act func(*WeChat, *request) answer) endpoint {
		return endpoint{post: true, platform: always(weixin), caller: caller, act: act}
	}
	return map[string]endpoint{
		ComponentToken:  post(platform, (*WeChat).componentToken),
		PreAuthCode:     post(platform, (*WeChat).preAuthCode),
		QueryAuth:       post(platform, (*WeChat).queryAuth),
		AuthorizerToken: post(customer, (*WeChat).authorizerToken),
		AuthorizerList:  post(platform, (*WeChat).authorizerList),
		StartPush:       post(platform, (*WeChat).startPush),
	}
}

// platformBySecret returns the platform that the body identifies and authenticates, or the answer
// to a wrong one. A body that is not JSON has no appid.
func (w *WeChat) platformBySecret(r *request, secretField string) (*owner, answer) {
	appid, secret := r.get("component_appid"), r.get(secretField)
	o := w.accounts.platform(appid)
	switch {
	case appid == "":
		return nil, refuse(weixin, 41018)
	case o == nil && w.accounts.official[appid] != nil:
		return nil, refuse(weixin, 61011)
	case o == nil:
		return nil, refuse(weixin, 40013)
	case secret == "":
		return nil, refuse(weixin, 41004)
	case secret != o.account.secret:
		return nil, refuse(weixin, 40125)
	case o.unlisted:
		return nil, refuse(weixin, 61004)
	}
	return o, answer{}
}

// platformByToken returns the platform of the valid token in the call, which the body must name, or
// the answer to another call. The token's parameter has two names, an old and a new one.
func (w *WeChat) platformByToken(r *request) (*owner, answer) {
	value := cmp.Or(r.query.Get("component_access_token"), r.query.Get("access_token"))
	if i := w.issued.byValue[value]; i != nil && i.universe != componentTokens && i.live(r.now) {
		if p, ok := i.universe.access(); ok && p == weixin {
			return nil, refuse(weixin, 61014)
		}
	}
	i, code := w.held(value, func(u universe) bool { return u == componentTokens }, w.accessCodes(weixin), r.now)
	if code != 0 {
		return nil, refuse(weixin, code)
	}
	switch o := i.account.owner; {
	case o.unlisted:
		return nil, refuse(weixin, 61004)
	case r.get("component_appid") == "":
		return nil, refuse(weixin, 41018)
	case r.get("component_appid") != o.account.id:
		return nil, refuse(weixin, 40013)
	default:
		return o, answer{}
	}
}

func (w *WeChat) componentToken(r *request) answer {
	o, no := w.platformBySecret(r, "component_appsecret")
	if o == nil {
		return no
	}
	switch t := w.issued.byValue[r.get("component_verify_ticket")]; {
	case t == nil || t.universe != componentTickets || t.account != o.account || !t.dies.IsZero():
		return refuse(weixin, 61006)
	case !t.live(r.now):
		return refuse(weixin, 61005)
	}
	i := w.rotate(o.account, componentTokens, r.now, w.set.Overlap)
	return give("component_access_token", i, i.left(r.now), false)
}

func (w *WeChat) preAuthCode(r *request) answer {
	o, no := w.platformByToken(r)
	if o == nil {
		return no
	}
	i := w.issue(o.account, componentPreAuthCodes, r.now)
	o.preAuthCode = i.value
	return give("pre_auth_code", i, i.left(r.now), false)
}

func (w *WeChat) queryAuth(r *request) answer {
	o, no := w.platformByToken(r)
	if o == nil {
		return no
	}
	g, code := w.redeem(o, r.get("authorization_code"), 61009, 61010, r.now)
	if code != 0 {
		return refuse(weixin, code)
	}
	a := w.authorizer(g, r)
	a.in = "authorization_info"
	a.more = `"authorizer_appid":` + quoted(g.child) +
		`,"func_info":[{"funcscope_category":{"id":1}},{"funcscope_category":{"id":2}}]`
	return a
}

// authorizer returns a new token of a customer and its refresh token.
func (w *WeChat) authorizer(g *grant, r *request) answer {
	i := w.rotate(g.account, authorizerTokens, r.now, w.set.Overlap)
	a := give("authorizer_access_token", i, i.left(r.now), false)
	a.grantField, a.grant = "authorizer_refresh_token", g.current
	return a
}

func (w *WeChat) authorizerToken(r *request) answer {
	o, no := w.platformByToken(r)
	if o == nil {
		return no
	}
	appid, refreshToken := r.get("authorizer_appid"), r.get("authorizer_refresh_token")
	g := o.grants[appid]
	switch {
	case appid == "":
		return refuse(weixin, 41002)
	case g == nil || g.current == "":
		return refuse(weixin, 61003)
	case !g.takes(refreshToken, r.now):
		return refuse(weixin, 61023)
	}
	if w.set.RotateEachCall || w.set.RotateRefreshTokens && refreshToken == g.current {
		g.replace(w.text(refreshTokens), r.now, w.set.Overlap, w.set.RotateEachCall)
	}
	a := w.authorizer(g, r)
	if w.set.EmptyRefreshTokens {
		a.grant = ""
	}
	return a
}

func (w *WeChat) authorizerList(r *request) answer {
	o, no := w.platformByToken(r)
	if o == nil {
		return no
	}
	offset, hasOffset := r.whole("offset")
	count, hasCount := r.whole("count")
	switch {
	case count > maxListed:
		return refuse(weixin, 40170)
	case !hasOffset || !hasCount || offset < 0 || count <= 0:
		return refuse(weixin, 40097) // the real errcode is not documented
	}
	total := 0
	var page []string
	for _, g := range o.customers {
		if g.current == "" {
			continue
		}
		if total >= offset && total < offset+count && !g.hidden {
			page = append(page, w.listed(g))
		}
		total++
	}
	return answer{quiet: true, more: `"total_count":` + strconv.Itoa(total) + `,"list":[` + strings.Join(page, ",") + `]`}
}

// listed returns a customer's entry in the list.
func (w *WeChat) listed(g *grant) string {
	var m members
	m.add("authorizer_appid", quoted(g.child))
	switch {
	case g.exchanged:
		m.add("refresh_token", quoted(g.current))
	case w.set.ListSaysEmpty:
		m.add("refresh_token", `""`)
	}
	m.add("auth_time", strconv.FormatInt(g.given.Unix(), 10))
	return m.json()
}

// startPush resumes stopped tickets. It does not send one: the next ticket comes at its usual time.
func (w *WeChat) startPush(r *request) answer {
	o, no := w.platformBySecret(r, "component_secret") // component_appsecret at other endpoints
	if o == nil {
		return no
	}
	if !o.stopped {
		return answer{msg: "in a normal state"}
	}
	o.stopped, o.ticketDue = false, r.now.Add(w.ticketEvery())
	w.wakePushes()
	return answer{}
}
