// Package wechattest is an in-process WeChat, as net/http/httptest is an in-process web server. It
// issues the tokens and tickets of official accounts, mini programs, WeCom apps, third-party
// platforms, service providers and their customers. It follows the rules of the real WeChat and
// sends the same pushes. A program can be tested against these rules without an account. The
// package does not know tokend or the business APIs.
//
// # Use
//
// Create a [WeChat] with [New], add accounts, and call it in one of three ways:
//
//   - through [WeChat.Client] or [WeChat.Transport]: no socket, in the caller's goroutine, and in
//     virtual time inside a testing/synctest bubble;
//   - through [WeChat.Start], which serves on a loopback port;
//   - as an [http.Handler] in another server.
//
// A test then looks like this:
//
//	w := wechattest.New(wechattest.Settings{})
//	w.AddAccount("wx0123", "its-secret")
//	app := newAppUnderTest(w.Client())
//	app.Run()
//	if n := w.CallsFor(wechattest.StableToken, "wx0123"); n != 1 {
//		t.Errorf("%d calls for one token", n)
//	}
//
// One WeChat serves both api.weixin.qq.com and qyapi.weixin.qq.com. Their paths differ, except for
// the probe, which tells the hosts apart by the token.
//
// # Rules
//
//   - /cgi-bin/token issues a new token for each call. The previous one stays valid for five
//     minutes, and at most the newest two are valid. 2000 calls a day.
//   - /cgi-bin/stable_token repeats its token with the remaining lifetime. In the last five minutes
//     it returns the next token, and both are valid. A forced refresh issues a new one, at most
//     every 30 s and 20 times a day. These tokens and those of /cgi-bin/token are independent.
//   - /cgi-bin/ticket/getticket repeats its ticket for two hours, always with an expires_in of
//     7200. Each type (jsapi, wx_card, 2) has its own ticket, lifetime and quota.
//   - /cgi-bin/gettoken, /cgi-bin/service/get_provider_token and WeCom's tickets repeat their value
//     until it expires. 100 tickets an hour per app, 400 per corp. After 2000 errors within an
//     hour, the corp is blocked for an hour.
//   - /cgi-bin/corpgroup/corp/gettoken returns the token of a downstream corp, given the token of
//     an app that is shared with it; see [WeChat.AddDownstream]. 10 000 calls a minute per corp.
//   - component_access_token rotates as /cgi-bin/token does. It needs a pushed ticket that is at
//     most 12 h old. Authorizers' tokens rotate likewise. The refresh token stays the same unless
//     [Settings.RotateRefreshTokens] or [Settings.RotateEachCall] is set.
//   - suite_access_token and customers' corp tokens repeat. A suite_ticket is valid for 30 minutes,
//     and a newer ticket does not cause a newer token. The permanent code of a template ("dk...")
//     is the secret of an app at /cgi-bin/gettoken.
//   - An authorization code can be used once and expires soon. A customer that authorizes again
//     after a revocation gives a new grant.
//   - Errors are HTTP 200 with errcode and errmsg. Their text, decoration (rid, hint, from ip) and
//     order of checks are those of the real WeChat.
//   - /cgi-bin/get_api_domain_ip reports whether a token is valid (the probe). [WeChat.Business]
//     checks tokens for a handler of any other business API.
//
// Where WeChat's behavior is unknown, a comment notes it, or [Settings] has an option.
//
// # Platforms, suites and their customers
//
// [WeChat.AddPlatform] and [WeChat.AddSuite] add an owner. [WeChat.Authorize],
// [WeChat.UpdateAuthorized], [WeChat.ResetPermanentCode] and [WeChat.Unauthorize] are actions of
// its customers. [WeChat.AddCustomer] adds an old customer. [WeChat.CurrentGrant] returns a
// customer's current refresh token or permanent code.
//
// Pushes are signed and encrypted like real ones. [WeChat.TicketPush] and [WeChat.EventPush] return
// a push for the test to use:
//
//	p := w.TicketPush("wwsuite")
//	r, err := p.Request(ctx, "http://callback.test/")   // as HTTP, or
//	line := fmt.Sprintln(p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
//
// After [WeChat.SetCallback], pushes can be sent: [WeChat.RunPushes] sends tickets every ten
// minutes and events as they happen, [WeChat.Flush] sends only the events, and [WeChat.Send] sends
// any push. [WeChat.Deliveries] returns the results: any answer but "success" in time is a failure.
// [Settings.PushTransport] with [HandlerTransport] calls a handler without a socket.
// [WeChat.SetQuirks] makes pushes late, duplicate, foreign or wrong. [WeChat.VerifyCallback] sends
// WeCom's GET.
//
// # Time
//
// Two hours are long for a demonstration. [Settings.Lifetime] shortens the lifetime of everything
// issued. The overlap, the spacing of forced refreshes, the lifetimes of pushed tickets and codes,
// and the time between pushes shrink in proportion. Refresh tokens and permanent codes do not
// expire. Quotas keep their minutes, hours and days, and callbacks their seconds. Time stamps in
// pushes are whole seconds. The clock is package time's.
//
// # Faults
//
// [WeChat.Inject] makes calls fail as in production: busy for a while, rejected, slow, cut,
// answered with a web page, or performed with the answer lost. [WeChat.SetAway] makes WeChat
// unreachable.
//
// # Counts
//
// Every call is counted by endpoint and account, so that a test can check the cost of an operation:
// [WeChat.Calls], [WeChat.CallsFor], [WeChat.MaxConcurrent]. [Settings.OnCall] observes each call.
package wechattest
