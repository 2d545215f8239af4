package policy

import (
	"time"

	"tokend/daemon/quota"
)

var (
	// Enough for an hour of looks at a ticket that WeChat continues repeating past its end.
	ticketBudgets = []quota.Budget{{Word: "ticket", Calls: "fetches of tickets of an account", Window: time.Hour, Limit: 80, Spare: 15}}

	corpTicketBudgets = []quota.Budget{
		{Word: "ticket", Calls: "fetches of tickets of an app", Window: time.Hour, Limit: 80, Spare: 20},
		{Word: "ticket", Calls: "fetches of tickets of a corp", Window: time.Hour, Limit: 320, Spare: 80, Scope: quota.PerOwner},
	}
)

// The kinds of WeChat and WeCom. Where their pages are silent, the comment says what is assumed.
//
// Pages of developers.weixin.qq.com, as of November 2026:
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
var (
	// StableToken: access_token by /cgi-bin/stable_token.
	//
	// "In the last 5 minutes the platform hands out the next token", both valid.
	// 20 forced refreshes a day, 30 s apart.
	StableToken = &Policy{Word: "stable_token", Lead: 5 * time.Minute, Forcible: true,
		Forced: []quota.Budget{{Word: "force", Calls: "forced refreshes of a stable_token", Window: quota.Day, Limit: 20, Gap: 30 * time.Second}}}

	// RotatingToken: access_token by /cgi-bin/token.
	//
	// Asked for at the latest 10 minutes ahead; the old token lives 5 minutes
	// beside the new one. 2000 calls a day; counters are off by about 1 %.
	RotatingToken = &Policy{Word: "rotating_token", Rotates: true, Lead: 10 * time.Minute,
		Budgets: []quota.Budget{{Word: "token", Calls: "calls of /cgi-bin/token for an account", Window: quota.Day, Limit: 1900, Spare: 80}}}

	// Ticket: jsapi, wx_card and sdk tickets of an official account.
	//
	// The same ticket for two hours, always with expires_in 7200. The quota is
	// "very limited" without a number: the limit is tokend's own.
	Ticket = &Policy{Word: "ticket", Lead: 10 * time.Minute, FirstSeen: true, Budgets: ticketBudgets}

	// CorpToken: WeCom access_token by /cgi-bin/gettoken.
	//
	// The same token until its end.
	CorpToken = &Policy{Word: "corp_token", Lead: 5 * time.Minute, FirstSeen: true}

	// CorpTicket: WeCom corp and agent tickets.
	//
	// 100 calls an hour for each app, 400 for the corp.
	CorpTicket = &Policy{Word: "corp_ticket", Lead: 10 * time.Minute, FirstSeen: true, Budgets: corpTicketBudgets}

	// DownstreamToken: access_token of a downstream corp, by /cgi-bin/corpgroup/corp/gettoken.
	//
	// What is not documented is assumed to be as for a suite's customers. An app may have very many
	// downstream corps.
	DownstreamToken = &Policy{Word: "downstream_token", Lead: 10 * time.Minute, FirstSeen: true, Lapses: true, Configured: true}

	// ProviderToken: WeCom provider_access_token.
	ProviderToken = &Policy{Word: "provider_token", Lead: 5 * time.Minute, FirstSeen: true}

	// VerifyTicket: component_verify_ticket, pushed.
	//
	// Pushed every 10 minutes, valid for 12 hours. Without a push for half an hour
	// WeChat may be asked to start pushing again.
	VerifyTicket = &Policy{Word: "component_verify_ticket", Pushed: 12 * time.Hour, Quiet: 30 * time.Minute,
		Nudges: []quota.Budget{{Word: "start push", Calls: "calls of api_start_push_ticket", Window: time.Hour, Limit: 1}}}

	// ComponentToken: component_access_token.
	//
	// "Refresh 1 h 50 min after issue"; the old token lives 5 minutes beside the
	// new one. The quota has no published number.
	ComponentToken = &Policy{Word: "component_token", Rotates: true, Lead: 10 * time.Minute}

	// PreAuthCode: pre_auth_code, of a platform or a suite.
	//
	// WeChat publishes no quota. A code is needed once for each customer that authorizes. PerHour
	// of the configuration replaces the limit.
	PreAuthCode = &Policy{Word: "pre_auth_code", PerAsk: true,
		Budgets: []quota.Budget{{Word: "pre_auth_code", Calls: "pre_auth_codes", Window: time.Hour, Limit: 600, Spare: 60}}}

	// AuthorizerToken: access_token of a platform's customer.
	//
	// Assumed to rotate like any official account's token.
	AuthorizerToken = &Policy{Word: "authorizer_token", Rotates: true, Lead: 10 * time.Minute, Lapses: true}

	// AuthorizerTicket: jsapi, wx_card and sdk tickets of a platform's customer.
	AuthorizerTicket = &Policy{Word: "authorizer_ticket", Lead: 10 * time.Minute, FirstSeen: true, Lapses: true, Budgets: ticketBudgets}

	// RefreshToken: authorizer_refresh_token, a grant.
	RefreshToken = &Policy{Word: "refresh_token", Grant: true}

	// SuiteTicket: suite_ticket, pushed.
	//
	// Pushed every 10 minutes, valid for 30: at 25 two pushes are missing.
	SuiteTicket = &Policy{Word: "suite_ticket", Pushed: 30 * time.Minute, Quiet: 25 * time.Minute}

	// SuiteToken: suite_access_token.
	//
	// The same token for two hours, also with a newer ticket.
	SuiteToken = &Policy{Word: "suite_token", Lead: 5 * time.Minute, FirstSeen: true}

	// AuthCorpToken: access_token of a suite's customer.
	AuthCorpToken = &Policy{Word: "auth_corp_token", Lead: 10 * time.Minute, FirstSeen: true, Lapses: true}

	// AuthCorpTicket: corp and agent tickets of a suite's customer.
	AuthCorpTicket = &Policy{Word: "auth_corp_ticket", Lead: 10 * time.Minute, FirstSeen: true, Lapses: true, Budgets: corpTicketBudgets}

	// PermanentCode: permanent_code, a grant.
	PermanentCode = &Policy{Word: "permanent_code", Grant: true}
)

// Hosts of WeChat.
var (
	// Weixin is the host of official accounts, mini programs and third-party platforms.
	Weixin = Host{}

	// WeCom limits faulty calls: "2000 erroneous calls in one hour: blocked for one hour", of the
	// host's address and thus of all accounts. What Faults and its spare calls leave is for calls
	// that are in flight when the limit is reached.
	WeCom = Host{
		Crowded: 45033,
		Faults:  &quota.Budget{Word: "erroneous calls", Calls: "calls that WeCom refuses", Window: time.Hour, Limit: 1500, Spare: 400, Scope: quota.PerHost},
		Failing: 1000,
	}
)
