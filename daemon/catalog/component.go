package catalog

import (
	"tokend/daemon/config"
	"tokend/daemon/policy"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// component is a third-party platform of the Open Platform.
type component struct {
	config.OpenPlatform
	owner
	client *fetchers.Client
	list   refresh.Lister
	token  string // the name of the token that customers' calls use
}

func newComponent(p config.OpenPlatform, up *Upstream) component {
	path := "open_platform/" + p.AppID
	list := lister{fetchers.AuthorizerList{Client: up.weixin, AppID: p.AppID}, path, up.log}
	return component{p, owner{host: weixinHost, path: path, pays: path, settings: p.Settings()}, up.weixin, list, path + "/component_access_token"}
}

// component adds the platform's own credentials, and registers the platform for its customers'.
func (c *Catalog) component(p component) {
	ticket := p.root("component_verify_ticket", policy.VerifyTicket, nil)
	ticket.Nudge = fetchers.StartPush{Client: p.client, AppID: p.AppID, Secret: p.Secret}.Start
	c.add(ticket)
	c.pushed = append(c.pushed, ticket.Name)
	token := p.root("component_access_token", policy.ComponentToken, fetchers.ComponentToken{Client: p.client, AppID: p.AppID, Secret: p.Secret})
	token.Parent = ticket.Name
	c.add(token)
	code := p.root("pre_auth_code", policy.PreAuthCode, fetchers.PreAuthCode{Client: p.client, AppID: p.AppID})
	code.Parent, code.PerHour = token.Name, c.limits.PreAuthCodesPerHour
	c.add(code)
	c.platforms[p.path] = p
}

func (p component) grant(child string) string { return p.path + "/" + child + "/refresh_token" }

func (p component) customer(name, child, word string) (refresh.Spec, bool) {
	path := name[:len(name)-len(word)-1]
	o := owner{host: p.host, path: path, pays: path, settings: p.settings, whole: name}
	var s refresh.Spec
	switch word {
	case "access_token":
		s = o.root(word, policy.AuthorizerToken, fetchers.AuthorizerToken{Client: p.client, AppID: p.AppID, AuthorizerAppID: child})
		s.Parent = p.token
		s.Platform, s.Child = p.path, child
	case "jsapi_ticket":
		s = o.child(word, policy.AuthorizerTicket, fetchers.Ticket{Client: p.client, Type: fetchers.JSAPI})
	case "wx_card_ticket":
		s = o.child(word, policy.AuthorizerTicket, fetchers.Ticket{Client: p.client, Type: fetchers.WXCard})
	case "sdk_ticket":
		s = o.child(word, policy.AuthorizerTicket, fetchers.Ticket{Client: p.client, Type: fetchers.SDK})
	case "refresh_token":
		return o.root(word, policy.RefreshToken, nil), true
	default:
		return s, false
	}
	s.Grant = p.grant(child)
	return s, true
}

func (p component) dependants() []string {
	return []string{"access_token", "jsapi_ticket", "wx_card_ticket", "sdk_ticket"}
}

func (p component) onboarding() refresh.Onboarding {
	return refresh.Onboarding{
		Parent:    p.token,
		Grant:     p.grant,
		Token:     func(child string) string { return p.path + "/" + child + "/access_token" },
		Exchanger: fetchers.QueryAuth{Client: p.client, AppID: p.AppID},
		Lister:    p.list,
	}
}
