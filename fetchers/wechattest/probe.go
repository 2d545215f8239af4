package wechattest

import "strings"

func probeEndpoints() map[string]endpoint {
	return map[string]endpoint{
		Probe: {platform: (*WeChat).probed, caller: bearerID, act: (*WeChat).probe},
	}
}

// probed returns which of the two hosts, which both have this path, is meant. It decides by the
// token, by the host's name, or by the token's form.
func (w *WeChat) probed(r *request) platform {
	value := r.query.Get("access_token")
	if i := w.issued.byValue[value]; i != nil {
		if p, ok := i.universe.access(); ok {
			return p
		}
	}
	digits := strings.TrimLeft(value, "0123456789")
	switch {
	case strings.HasPrefix(r.host, "qyapi."):
		return wecom
	case strings.HasPrefix(r.host, "api.") || len(digits) < len(value) && strings.HasPrefix(digits, "_"):
		return weixin
	}
	return wecom
}

// probe is a free business API that accepts every token.
func (w *WeChat) probe(r *request) answer {
	p := w.probed(r)
	a, no := w.bearer(p, r)
	if a == nil {
		no.more = `"ip_list":[]` // errors have the field too
		return no
	}
	return answer{more: `"ip_list":["192.0.2.1"]`}
}
