package wechattest

import (
	"cmp"
	"time"
)

func workEndpoints() map[string]endpoint {
	return map[string]endpoint{
		CorpToken: {
			platform: always(wecom),
			caller: func(w *WeChat, r *request) string {
				corpid := r.query.Get("corpid")
				secret := r.query.Get("corpsecret")
				if a := cmp.Or(w.accounts.app(corpid, secret), w.accounts.customApp(corpid, secret)); a != nil {
					return a.id
				}
				return corpid
			},
			act: (*WeChat).corpToken,
		},
		CorpTicket: {
			platform: always(wecom),
			caller:   bearerID,
			act:      func(w *WeChat, r *request) answer { return w.workTicket(r, corpTickets) },
		},
		AgentTicket: {
			platform: always(wecom),
			caller:   bearerID,
			act:      func(w *WeChat, r *request) answer { return w.workTicket(r, agentTickets) },
		},
	}
}

// workLife returns the expires_in of a WeCom value.
func (w *WeChat) workLife(i *issue, now time.Time) int64 {
	if w.set.WorkSaysFullLife {
		return int64(w.set.Lifetime / time.Second)
	}
	return i.left(now)
}

func (w *WeChat) corpToken(r *request) answer {
	corpid, secret := r.query.Get("corpid"), r.query.Get("corpsecret")
	switch {
	case corpid == "":
		return refuse(wecom, 41002)
	case secret == "":
		return refuse(wecom, 41004)
	}
	a := cmp.Or(w.accounts.app(corpid, secret), w.accounts.customApp(corpid, secret))
	customer := w.accounts.customizes(corpid)
	switch {
	case a != nil:
	case w.set.Register && !customer: // for a customer, it may be a revoked permanent code
		a = w.registerApp(corpid, secret)
	case w.accounts.apps[corpid] == nil && !customer:
		return refuse(wecom, 40013)
	default:
		return refuse(wecom, 40001)
	}
	i := w.repeat(a, appTokens, r.now, 0)
	return give("access_token", i, w.workLife(i, r.now), true)
}

func (w *WeChat) workTicket(r *request, u universe) answer {
	a, no := w.bearer(wecom, r)
	if a == nil {
		return no
	}
	if u == agentTickets && r.query.Get("type") != "agent_config" {
		return refuse(wecom, 91040)
	}
	// Both are counted independently. Whether the two kinds of ticket share a count is not
	// documented; here they do not.
	app := w.spend(quotaKey{r.path, a.id, time.Hour}, w.set.Limits.TicketsPerHour, r.now)
	corp := w.spend(quotaKey{r.path, a.corp, time.Hour}, w.set.Limits.CorpTicketsPerHour, r.now)
	if !app || !corp {
		return refuse(wecom, 45009)
	}
	i := w.repeat(a, u, r.now, 0)
	return give("ticket", i, w.workLife(i, r.now), true)
}
