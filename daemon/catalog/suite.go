package catalog

import (
	"strings"

	"tokend/daemon/config"
	"tokend/daemon/policy"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// suite is an app that a WeCom service provider offers to corps.
type suite struct {
	config.Suite
	owner
	client *fetchers.Client
}

func newSuite(s config.Suite, up *Upstream) suite {
	path := "open_work/" + s.SuiteID
	return suite{s, owner{host: workHost, path: path, pays: path, settings: s.Settings()}, up.work}
}

// suite adds the suite's own credentials, and registers the suite for its customers'.
func (c *Catalog) suite(s suite) {
	ticket := s.root("suite_ticket", policy.SuiteTicket, nil)
	c.add(ticket)
	c.pushed = append(c.pushed, ticket.Name)
	token := s.root("suite_access_token", policy.SuiteToken, fetchers.SuiteToken{Client: s.client, SuiteID: s.SuiteID, Secret: s.SuiteSecret})
	token.Parent = ticket.Name
	c.add(token)
	code := s.root("pre_auth_code", policy.PreAuthCode, fetchers.SuitePreAuthCode{Client: s.client})
	code.Parent, code.PerHour = token.Name, c.limits.PreAuthCodesPerHour
	c.add(code)
	c.platforms[s.path] = s
}

// template reports whether the suite is a template for custom development. A customer's permanent
// code is then the secret of the customer's own app.
func (s suite) template() bool { return strings.HasPrefix(s.SuiteID, "dk") }

func (s suite) token() string { return s.path + "/suite_access_token" }

func (s suite) grant(child string) string { return s.path + "/" + child + "/permanent_code" }

func (s suite) customer(name, child, word string) (refresh.Spec, bool) {
	path := name[:len(name)-len(word)-1]
	o := owner{host: s.host, path: path, pays: path, settings: s.settings, whole: name}
	var spec refresh.Spec
	switch word {
	case "access_token":
		if s.template() {
			spec = o.root(word, policy.AuthCorpToken, fetchers.CustomAppToken{Client: s.client, CorpID: child})
			break
		}
		spec = o.root(word, policy.AuthCorpToken, fetchers.AuthCorpToken{Client: s.client, CorpID: child})
		spec.Parent = s.token()
	case "jsapi_ticket":
		spec = o.child(word, policy.AuthCorpTicket, fetchers.CorpTicket{Client: s.client})
	case "agent_config_ticket":
		spec = o.child(word, policy.AuthCorpTicket, fetchers.AgentTicket{Client: s.client})
	case "permanent_code":
		return o.root(word, policy.PermanentCode, nil), true
	default:
		return spec, false
	}
	spec.Grant = s.grant(child)
	return spec, true
}

func (s suite) dependants() []string {
	return []string{"access_token", "jsapi_ticket", "agent_config_ticket"}
}

func (s suite) onboarding() refresh.Onboarding {
	return refresh.Onboarding{
		Parent:    s.token(),
		Grant:     s.grant,
		Token:     func(child string) string { return s.path + "/" + child + "/access_token" },
		Exchanger: fetchers.PermanentCode{Client: s.client, SuiteID: s.SuiteID},
	}
}
