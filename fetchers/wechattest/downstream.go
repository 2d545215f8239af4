package wechattest

import (
	"cmp"
	"time"
)

// share is the sharing of a corp's app with a downstream corp.
type share struct {
	corp     string // the downstream corp
	agent    int    // the app's agentid there
	business int    // business_type
}

func downstreamEndpoints() map[string]endpoint {
	return map[string]endpoint{
		DownstreamToken: {
			post:     true,
			platform: always(wecom),
			caller: func(w *WeChat, r *request) string {
				if app := bearerID(w, r); app != "" {
					return app + "/" + r.get("corpid")
				}
				return r.get("corpid")
			},
			act: (*WeChat).downstreamToken,
		},
	}
}

// downstreamToken returns the token of a corp that the calling app is shared with. It repeats the
// token until it expires, as WeCom's other endpoints do. Neither that nor the errcodes for wrong
// parameters are documented.
func (w *WeChat) downstreamToken(r *request) answer {
	a, no := w.bearer(wecom, r)
	if a == nil {
		return no
	}
	s := share{corp: r.get("corpid")}
	var whole, known bool
	s.agent, whole = r.whole("agentid")
	_, typed := r.body["business_type"]
	s.business, known = r.whole("business_type")
	shared := a.shares[s]
	switch {
	case !w.spend(quotaKey{r.path, a.corp, time.Minute}, w.set.Limits.DownstreamPerMinute, r.now):
		return refuse(wecom, 45009)
	case r.empty:
		return refuse(wecom, 44002)
	case r.body == nil:
		return refuse(wecom, 47001)
	case a.secret == "": // a suite's customer, or a downstream corp
		return refuse(wecom, 48002)
	case s.corp == "":
		return refuse(wecom, 41002)
	case !whole:
		return refuse(wecom, 40056)
	case typed && !known, s.business != 0 && s.business != 1:
		return refuse(wecom, 40035)
	case shared == nil && w.set.Register:
		shared = w.addShare(a, s)
	case shared == nil && a.sharedWith(s.corp):
		return refuse(wecom, 301002)
	case shared == nil:
		return refuse(wecom, 40013)
	}
	i := w.repeat(shared, downstreamTokens, r.now, 0)
	return give("access_token", i, w.workLife(i, r.now), true)
}

// sharedWith reports whether the app is shared with a corp, whatever the agentid and type.
func (a *account) sharedWith(corp string) bool {
	for s := range a.shares {
		if s.corp == corp {
			return true
		}
	}
	return false
}

// AddDownstream shares the existing app "corpid/agentid" with a downstream corp, in which the app
// has the agentid agent. business is the business_type: 0 for linked corps (企业互联), 1 for upstream
// and downstream (上下游). Calls for its token are counted for "corpid/agentid/downstream". It panics
// if there is no such app.
func (w *WeChat) AddDownstream(corpid, agentid, downstream string, agent, business int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.accounts.apps[corpid][agentid]
	if app == nil {
		panic("wechattest: no app " + corpid + "/" + agentid)
	}
	w.addShare(app, share{downstream, agent, business})
}

func (w *WeChat) addShare(app *account, s share) *account {
	if app.shares == nil {
		app.shares = map[share]*account{}
	}
	return put(app.shares, s, account{id: app.id + "/" + s.corp, corp: s.corp})
}

// RemoveDownstream reverses [WeChat.AddDownstream]: later calls fail, and the tokens issued before
// become invalid.
func (w *WeChat) RemoveDownstream(corpid, agentid, downstream string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := cmp.Or(w.accounts.apps[corpid][agentid], &account{})
	for s, a := range app.shares {
		if s.corp == downstream {
			a.kill(time.Now())
			delete(app.shares, s)
		}
	}
}
