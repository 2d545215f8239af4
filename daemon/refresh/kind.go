package refresh

import (
	"time"
	"tokend/daemon/quota"
)

// Kind is which of WeChat's credentials a credential is. The kind decides how
// it is renewed.
type Kind uint8

// Kinds.
const (
	StableToken   Kind = iota + 1 // access_token by /cgi-bin/stable_token
	RotatingToken                 // access_token by /cgi-bin/token
	Ticket                        // jsapi, wx_card and sdk tickets of an official account
	CorpToken                     // WeCom access_token by /cgi-bin/gettoken
	CorpTicket                    // WeCom corp and agent tickets
	ProviderToken                 // WeCom provider_access_token

	// access_token of a downstream corp, by /cgi-bin/corpgroup/corp/gettoken
	DownstreamToken

	VerifyTicket     // component_verify_ticket, pushed
	ComponentToken   // component_access_token
	PreAuthCode      // pre_auth_code, of a platform or a suite
	AuthorizerToken  // access_token of a platform's customer
	AuthorizerTicket // jsapi, wx_card and sdk tickets of a platform's customer
	RefreshToken     // authorizer_refresh_token, a grant
	SuiteTicket      // suite_ticket, pushed
	SuiteToken       // suite_access_token
	AuthCorpToken    // access_token of a suite's customer
	AuthCorpTicket   // corp and agent tickets of a suite's customer
	PermanentCode    // permanent_code, a grant
)

// String returns the word that STATUS shows.
func (k Kind) String() string { return k.policy().word }

// policy is how a kind is refreshed. Where WeChat's pages are silent, the comment says what is
// assumed. Pages of developers.weixin.qq.com, as of November 2026:
//
//	stable_token       /doc/service/api/base/api_getstableaccesstoken
//	token              /doc/oplatform/developers/dev/AccessToken.html
//	quotas             /doc/service/Message_Management/API_Call_Limits.html
//	tickets            /doc/service/en/api/webdev/jssdk/api_getticket.html
//	pushed ticket      /doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/
//	                   component_verify_ticket.html
//	start of pushes    /doc/oplatform/openApi/ticket-token/api_startpushticket.html
//	component token    /doc/oplatform/developers/dev/ComponentAccessToken.html
//	pre_auth_code      /doc/oplatform/openApi/ticket-token/api_getpreauthcode
//	authorizer token   /doc/oplatform/developers/dev/AuthorizerAccessToken.html
//	refresh token      /doc/knowledge/07e2d7fc2d6a1edf.html
//
// Pages of developer.work.weixin.qq.com/document/path/, as of November 2026:
//
//	app token          91039
//	tickets            96909, and their limits 90454
//	provider token     96237
//	suite ticket       90628
//	suite token        97162
//	corp token         90605
//	permanent code     90603
type policy struct {
	word string

	// wecom: called at WeCom's host, not at the other. A kind of both leaves it
	// to its parent.
	wecom bool

	// rotates: every fetch makes a new value and ends the old one after an
	// overlap (5 minutes). Fetched ahead once, never in a loop. Otherwise an
	// early fetch repeats the current value.
	rotates bool

	// lead is how long before its end a value is asked for again.
	lead time.Duration

	// firstSeen: the expires_in of a repeated value says nothing of its age,
	// so a value met for the first time may be older than it looks.
	firstSeen bool

	// forcible: an operator's refresh may ask for a new value (force_refresh).
	forcible bool

	// pushed is how long a value lives that WeChat pushes and nobody can ask for; zero for
	// what is fetched. quiet is how long without a push is too long.
	pushed, quiet time.Duration

	// perAsk: fetched for each request, never stored, never shared; see perask.go.
	perAsk bool

	// lapses: left to end when nobody has asked for it for a lifetime. A
	// platform has many customers, of whom few are served at a time.
	// configured: it is named in the configuration all the same, and idle when it has lapsed.
	lapses, configured bool

	// grant: given once by a customer; never fetched ahead, never shown.
	grant bool

	// budgets are charged for every call, forced for a forced one as well.
	budgets, forced []quota.Budget
}

var (
	// Enough for an hour of looks at a ticket that WeChat goes on repeating past its end.
	ticketBudgets = []quota.Budget{{Word: "ticket", Calls: "fetches of tickets of an account", Window: time.Hour, Limit: 80, Spare: 15}}

	corpTicketBudgets = []quota.Budget{
		{Word: "ticket", Calls: "fetches of tickets of an app", Window: time.Hour, Limit: 80, Spare: 20},
		{Word: "ticket", Calls: "fetches of tickets of a corp", Window: time.Hour, Limit: 320, Spare: 80, Scope: quota.PerOwner},
	}
)

var policies = [...]policy{
	// "In the last 5 minutes the platform hands out the next token", both valid.
	// 20 forced refreshes a day, 30 s apart.
	StableToken: {word: "stable_token", lead: 5 * time.Minute, forcible: true,
		forced: []quota.Budget{{Word: "force", Calls: "forced refreshes of a stable_token", Window: day, Limit: 20, Gap: 30 * time.Second}}},

	// Asked for at the latest 10 minutes ahead; the old token lives 5 minutes
	// beside the new one. 2000 calls a day; counters are off by about 1 %.
	RotatingToken: {word: "rotating_token", rotates: true, lead: 10 * time.Minute,
		budgets: []quota.Budget{{Word: "token", Calls: "calls of /cgi-bin/token for an account", Window: day, Limit: 1900, Spare: 80}}},

	// The same ticket for two hours, always with expires_in 7200. The quota is
	// "very limited" without a number: the limit is tokend's own.
	Ticket: {word: "ticket", lead: 10 * time.Minute, firstSeen: true, budgets: ticketBudgets},

	// The same token until its end.
	CorpToken: {word: "corp_token", wecom: true, lead: 5 * time.Minute, firstSeen: true},

	// 100 calls an hour for each app, 400 for the corp.
	CorpTicket: {word: "corp_ticket", wecom: true, lead: 10 * time.Minute, firstSeen: true, budgets: corpTicketBudgets},

	// What is not documented is assumed to be as for a suite's customers. An app may have very many
	// downstream corps.
	DownstreamToken: {word: "downstream_token", wecom: true, lead: 10 * time.Minute, firstSeen: true, lapses: true, configured: true},

	ProviderToken: {word: "provider_token", wecom: true, lead: 5 * time.Minute, firstSeen: true},

	// Pushed every 10 minutes, valid for 12 hours. Without a push for half an hour
	// WeChat may be asked to start pushing again.
	VerifyTicket: {word: "component_verify_ticket", pushed: 12 * time.Hour, quiet: 30 * time.Minute},

	// "Refresh 1 h 50 min after issue"; the old token lives 5 minutes beside the
	// new one. The quota has no published number.
	ComponentToken: {word: "component_token", rotates: true, lead: 10 * time.Minute},

	PreAuthCode: {word: "pre_auth_code", perAsk: true,
		budgets: []quota.Budget{{Word: "pre_auth_code", Calls: "pre_auth_codes", Window: time.Hour, Limit: asksPerHour, Spare: asksPerHour / 10}}},

	// Assumed to rotate like any official account's token.
	AuthorizerToken:  {word: "authorizer_token", rotates: true, lead: 10 * time.Minute, lapses: true},
	AuthorizerTicket: {word: "authorizer_ticket", lead: 10 * time.Minute, firstSeen: true, lapses: true, budgets: ticketBudgets},
	RefreshToken:     {word: "refresh_token", grant: true},

	// Pushed every 10 minutes, valid for 30: at 25 two pushes are missing.
	SuiteTicket: {word: "suite_ticket", pushed: 30 * time.Minute, quiet: 25 * time.Minute},

	// The same token for two hours, also with a newer ticket.
	SuiteToken:     {word: "suite_token", wecom: true, lead: 5 * time.Minute, firstSeen: true},
	AuthCorpToken:  {word: "auth_corp_token", wecom: true, lead: 10 * time.Minute, firstSeen: true, lapses: true},
	AuthCorpTicket: {word: "auth_corp_ticket", wecom: true, lead: 10 * time.Minute, firstSeen: true, lapses: true, budgets: corpTicketBudgets},
	PermanentCode:  {word: "permanent_code", grant: true},
}

func (k Kind) policy() *policy {
	if int(k) < len(policies) {
		return &policies[k]
	}
	return &policies[0]
}
