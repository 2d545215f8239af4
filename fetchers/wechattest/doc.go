// Package wechattest is a WeChat in process, as net/http/httptest is a web
// server in process: it issues the tokens and tickets of official accounts, mini
// programs, WeCom apps, third-party platforms, service providers and their customers by the
// rules of the real one, and pushes what the real one pushes, so
// that a program can be tested against those rules without an account. It knows nothing of
// tokend, and nothing of the business APIs.
//
// # Use
//
// Make a [WeChat] with [New], add accounts, and call it in one of three ways:
//
//   - through [WeChat.Client] or [WeChat.Transport]: no socket, in the caller's
//     own goroutine, and in virtual time inside a testing/synctest bubble;
//   - through [WeChat.Start], which serves on a loopback port;
//   - as an [http.Handler] in a server of your own.
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
// One WeChat plays both api.weixin.qq.com and qyapi.weixin.qq.com; their paths
// do not collide, but for the probe, which tells them apart by the token.
//
// # What it does as WeChat does
//
//   - /cgi-bin/token makes a new token at each call; the one before it lives five more
//     minutes, and only the newest two live at all. 2000 calls a day.
//   - /cgi-bin/stable_token repeats its token with the life that remains of it,
//     and in the last five minutes gives the next one, both being valid. A
//     forced refresh makes a new one, at most every 30 s and 20 times a day.
//     Its tokens and those of /cgi-bin/token do not touch each other.
//   - /cgi-bin/ticket/getticket repeats its ticket for two hours and says every time that it
//     has 7200 s left. Each type (jsapi, wx_card, 2) has its own ticket, lifetime and quota.
//   - /cgi-bin/gettoken, /cgi-bin/service/get_provider_token and WeCom's tickets
//     repeat their value until its end. 100 tickets an hour for an app, 400 for
//     a corp; 2000 refusals within an hour block the corp for an hour.
//   - /cgi-bin/corpgroup/corp/gettoken gives the token of a downstream corp, for the token of an app
//     that is shared with it: see [WeChat.AddDownstream]. 10 000 calls a minute for a corp.
//   - component_access_token rotates as /cgi-bin/token does; it is had for a pushed ticket
//     that is at most 12 h old. Authorizers' tokens rotate likewise; the refresh token
//     stays the same, unless [Settings.RotateRefreshTokens] says otherwise.
//   - suite_access_token and customers' corp tokens repeat; a suite_ticket is good for 30
//     minutes, and a newer one makes no newer token. Of a template ("dk...") the permanent
//     code is the secret of an app at /cgi-bin/gettoken.
//   - An authorization code serves once and not for long. Who authorizes again after it has
//     ended gives another grant.
//   - Refusals are HTTP 200 with errcode and errmsg, worded, decorated (rid, hint,
//     from ip) and put in the order of the real ones.
//   - /cgi-bin/get_api_domain_ip says whether a token is alive (the probe).
//
// Where nobody knows what WeChat does, the comment says so, or [Settings]
// has a switch.
//
// # Platforms, suites and their customers
//
// [WeChat.AddPlatform] and [WeChat.AddSuite] add an owner; [WeChat.Authorize],
// [WeChat.UpdateAuthorized], [WeChat.ResetPermanentCode] and [WeChat.Unauthorize] are its
// customers' doings, [WeChat.AddCustomer] is one of long ago, and [WeChat.CurrentGrant] says what
// WeChat regards as a customer's refresh token or permanent code now.
//
// A push, signed and encrypted as the real ones, is had in two ways. [WeChat.TicketPush] and
// [WeChat.EventPush] return it as material for whatever the test does with it:
//
//	p := w.TicketPush("wwsuite")
//	r, err := p.Request(ctx, "http://callback.test/")   // as HTTP, or
//	line := fmt.Sprintln(p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
//
// And with [WeChat.SetCallback] they are sent: tickets every ten minutes and events as they
// happen by [WeChat.RunPushes], the events alone by [WeChat.Flush], any push by
// [WeChat.Send]. [WeChat.Deliveries] tells how the callback took them: anything but "success" in
// time is a failure. [Settings.PushTransport] with [HandlerTransport] calls a handler
// in place of a socket. [WeChat.SetQuirks] makes pushes late, doubled, foreign or wrong, and
// [WeChat.VerifyCallback] is WeCom's GET.
//
// # Time
//
// Two hours is long for a demonstration: [Settings.Lifetime] shortens the life of whatever is
// issued, and the overlap, the spacing of forced refreshes, the lives of pushed tickets and codes
// and the time between pushes shrink in proportion; refresh tokens and permanent codes have no end.
// Quotas keep their minutes, hours and days, callbacks their seconds; time stamps in pushes are
// whole seconds. Time is read from package time.
//
// # Faults
//
// [WeChat.Inject] makes calls fail as calls fail in the field: busy for a while,
// refused, slow, cut, answered with a web page, or carried out and the answer
// lost. [WeChat.SetAway] takes WeChat away altogether.
//
// # Counts
//
// Every call is counted by endpoint and account, so that a test can say what
// something cost: [WeChat.Calls], [WeChat.CallsFor], [WeChat.MaxConcurrent], and
// [Settings.OnCall] to see each as it ends.
package wechattest
