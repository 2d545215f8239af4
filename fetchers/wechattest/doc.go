// Package wechattest is a WeChat in process, as net/http/httptest is a web
// server in process: it issues the tokens and tickets of official accounts, mini
// programs, WeCom apps and service providers by the rules of the real one, so
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
//     has 7200 s left.
//   - /cgi-bin/gettoken, /cgi-bin/service/get_provider_token and WeCom's tickets
//     repeat their value until its end. 100 tickets an hour for an app, 400 for
//     a corp; 2000 refusals within an hour block the corp for an hour.
//   - Refusals are HTTP 200 with errcode and errmsg, worded, decorated (rid, hint,
//     from ip) and put in the order of the real ones.
//   - /cgi-bin/get_api_domain_ip says whether a token is alive (the probe).
//
// Where nobody knows what WeChat does, the comment says so, or [Settings]
// has a switch.
//
// # Time
//
// Two hours is long for a demonstration: [Settings.Lifetime] shortens the life of
// whatever is issued, and the overlap and the spacing of forced refreshes shrink in
// proportion. Quotas keep their minutes, hours and days. Time is read from package time.
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
