package wechattest

import "time"

func officialAccountEndpoints() map[string]endpoint {
	return map[string]endpoint{
		Token: {
			platform: always(weixin),
			caller:   func(_ *WeChat, r *request) string { return r.query.Get("appid") },
			act:      (*WeChat).token,
		},
		StableToken: {
			post:     true,
			platform: always(weixin),
			caller:   func(_ *WeChat, r *request) string { return r.get("appid") },
			act:      (*WeChat).stableToken,
		},
		Ticket: {
			platform: always(weixin),
			caller:   bearerID,
			act:      (*WeChat).ticket,
		},
	}
}

// official returns the account that the arguments identify and authenticate, or the answer to wrong
// ones. WeChat checks them in this order.
func (w *WeChat) official(appid, grantType, secret string) (*account, answer) {
	if appid == "" {
		return nil, refuse(weixin, 41002)
	}
	a := w.accounts.official[appid]
	if a == nil && w.set.Register && w.accounts.platform(appid) == nil && secret != "" && grantType == "client_credential" {
		a = w.addAccount(appid, secret)
	}
	switch {
	case a == nil && w.accounts.platform(appid) != nil:
		return nil, refuse(weixin, 61024)
	case a == nil:
		return nil, refuse(weixin, 40013)
	case grantType != "client_credential":
		return nil, refuse(weixin, 40002)
	case secret == "":
		return nil, refuse(weixin, 41004)
	case secret != a.secret:
		return nil, refuse(weixin, 40125)
	case a.frozen:
		return nil, refuse(weixin, 40243)
	}
	return a, answer{}
}

func (w *WeChat) token(r *request) answer {
	a, no := w.official(r.query.Get("appid"), r.query.Get("grant_type"), r.query.Get("secret"))
	if a == nil {
		return no
	}
	if !w.spend(quotaKey{Token, a.id, day}, w.set.Limits.TokensPerDay, r.now) {
		return refuse(weixin, 45009)
	}
	i := w.rotate(a, rotatingTokens, r.now, w.set.Overlap)
	return give("access_token", i, i.left(r.now), false)
}

func (w *WeChat) stableToken(r *request) answer {
	// A body that is not JSON, such as a form, has no appid.
	a, no := w.official(r.get("appid"), r.get("grant_type"), r.get("secret"))
	if a == nil {
		return no
	}
	if !w.spend(quotaKey{StableToken, a.id, time.Minute}, w.set.Limits.StablePerMinute, r.now) {
		no := refuse(weixin, 45009)
		no.msg = "api minute-quota reach limit"
		return no
	}
	if !w.spend(quotaKey{StableToken, a.id, day}, w.set.Limits.StablePerDay, r.now) {
		return refuse(weixin, 45009)
	}
	var i *issue
	// "Closer than 30 s: will not refresh" is interpreted as an ordinary call that does not count.
	// The answer beyond 20 a day is not documented.
	if force, _ := r.body["force_refresh"].(bool); force && r.now.Sub(a.forced) >= w.set.ForceSpacing {
		if !w.spend(quotaKey{"force_refresh", a.id, day}, w.set.Limits.ForcesPerDay, r.now) {
			return refuse(weixin, 45009)
		}
		overlap := w.set.Overlap
		if w.set.ForceKills {
			overlap = 0
		}
		a.forced = r.now
		i = w.rotate(a, stableTokens, r.now, overlap)
	} else {
		i = w.repeat(a, stableTokens, r.now, w.set.Overlap)
	}
	return give("access_token", i, i.left(r.now), false)
}

func (w *WeChat) ticket(r *request) answer {
	a, no := w.bearer(weixin, r)
	switch {
	case a == nil:
		return no
	case a.owner != nil:
		return refuse(weixin, 61015)
	}
	u := jsapiTickets
	switch r.query.Get("type") {
	case "jsapi":
	case "wx_card":
		u = cardTickets
	case "2":
		u = sdkTickets
	default:
		return refuse(weixin, 40097) // the real errcode is not documented
	}
	if !w.spend(quotaKey{string(u), a.id, day}, w.set.Limits.AccountTicketsPerDay, r.now) {
		return refuse(weixin, 45009)
	}
	i := w.repeat(a, u, r.now, 0)
	return give("ticket", i, int64(w.set.Lifetime/time.Second), true)
}
