package wechattest

func openWorkEndpoints() map[string]endpoint {
	return map[string]endpoint{
		ProviderToken: {
			post:     true,
			platform: always(wecom),
			caller:   func(_ *WeChat, r *request) string { return r.get("corpid") },
			act:      (*WeChat).providerToken,
		},
	}
}

func (w *WeChat) providerToken(r *request) answer {
	corpid, secret := r.get("corpid"), r.get("provider_secret")
	switch {
	case r.empty:
		return refuse(wecom, 44002)
	case r.body == nil:
		return refuse(wecom, 47001)
	case corpid == "":
		return refuse(wecom, 41002)
	case secret == "":
		return refuse(wecom, 41004)
	}
	a := w.accounts.providers[corpid]
	if a == nil && w.set.Register {
		a = w.addProvider(corpid, secret)
	}
	switch {
	case a == nil:
		return refuse(wecom, 40013)
	case a.secret != secret:
		return refuse(wecom, 40001)
	}
	i := w.repeat(a, providerTokens, r.now, 0)
	return give("provider_access_token", i, w.workLife(i, r.now), false)
}
