package inbox

import (
	"errors"
	"strings"
	"testing"

	"tokend/daemon/credential"
	"tokend/fetchers/wechattest"
)

func TestRefusals(t *testing.T) {
	ticket := "<xml><AppId>" + platformID + "</AppId><CreateTime>1700000000</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>canary</ComponentVerifyTicket></xml>"
	seal := func(receiver, plain string) wechattest.Push {
		return sealed(t, platformTok, platformKey, receiver, plain)
	}
	change := func(p wechattest.Push, f func(p *wechattest.Push)) wechattest.Push { f(&p); return p }
	for _, test := range []struct {
		name   string
		owner  string
		push   wechattest.Push
		reason credential.Reason
	}{
		{"unknown owner", "open_platform/wxother", seal(platformID, ticket), credential.NotFound},
		{"no owner", "", seal(platformID, ticket), credential.NotFound},
		{"another owner's push", suite, seal(platformID, ticket), credential.Denied},
		{"another nonce", platform, change(seal(platformID, ticket), func(p *wechattest.Push) { p.Nonce = "n-0002" }), credential.Denied},
		{"no signature", platform, change(seal(platformID, ticket), func(p *wechattest.Push) { p.MsgSignature = "" }), credential.Denied},
		{"signature without the body", platform, change(seal(platformID, ticket), func(p *wechattest.Push) {
			p.MsgSignature = wechattest.Signature(platformTok, p.Timestamp, p.Nonce)
		}), credential.Denied},
		{"another receiver", platform, seal("wxother", ticket), credential.Denied},
		{"no receiver", platform, seal("", ticket), credential.Denied},
		{"another's AppId", platform, seal(platformID, strings.ReplaceAll(ticket, platformID, "wxother")), credential.Denied},
		{"another's AppId, unknown kind", platform,
			seal(platformID, "<xml><AppId>wxother</AppId><InfoType>news</InfoType></xml>"), credential.Denied},
		{"no AppId", platform, seal(platformID, strings.ReplaceAll(ticket, platformID, "")), credential.Unfit},
		{"an empty ticket", platform, seal(platformID, strings.ReplaceAll(ticket, "canary", "")), credential.Unfit},
		{"not XML", platform, seal(platformID, "canary"), credential.Unfit},
		{"truncated XML", platform, seal(platformID, ticket[:strings.Index(ticket, "ary")]), credential.Unfit},
		{"a DOCTYPE", platform, seal(platformID, "<!DOCTYPE xml>"+ticket), credential.Unfit},
		{"malformed customer ID", platform,
			seal(platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>unauthorized</InfoType><AuthorizerAppid>a/../b</AuthorizerAppid></xml>"), credential.Unfit},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, engine, out := newTestInbox(t)
			err := post(t, b, test.owner, test.push)
			e, ok := errors.AsType[*credential.Error](err)
			if !ok {
				t.Fatalf("got %v, want an error for a peer", err)
			}
			if e.Reason != test.reason {
				t.Errorf("reason %v, want %v", e.Reason, test.reason)
			}
			if e.RetryAfter != credential.Never {
				t.Errorf("retry after %v", e.RetryAfter)
			}
			if strings.Contains(e.Message, "canary") || strings.Contains(out.String(), "canary") {
				t.Error("the error or the log reveals the push")
			}
			if calls := engine.taken(); len(calls) != 0 {
				t.Errorf("%d calls to the engine", len(calls))
			}
			if got := stat(t, b, "pushes_refused"); got != 2 {
				t.Errorf("pushes_refused is %d, want 2", got)
			}
		})
	}
}

func TestEnvelopeMalformed(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for _, body := range []string{"", "x", "<xml/>", "<xml><Encrypt></Encrypt></xml>", "<!DOCTYPE x><xml><Encrypt>x</Encrypt></xml>"} {
		err := b.Envelope(t.Context(), platform, "s", "t", "n", []byte(body))
		if e, ok := errors.AsType[*credential.Error](err); !ok || e.Reason != credential.Unfit {
			t.Errorf("%q: %v, want it malformed", body, err)
		}
	}
}

// The addressee in the body is not signed, and WeCom has sent the provider's corpid there.
func TestAddresseeIgnored(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	body := "<xml><ToUserName>" + providerID + "</ToUserName><AppId>wxother</AppId><Encrypt>" + suitePush + "</Encrypt></xml>"
	if err := b.Envelope(t.Context(), suite, suiteSigned, "1700000200", "n-0003", []byte(body)); err != nil {
		t.Error(err)
	}
	if n := len(engine.taken()); n != 1 {
		t.Errorf("%d calls to the engine, want 1", n)
	}
}

func TestProviderAsReceiver(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	w := newTestWeChat(t)
	w.SetQuirks(suiteID, wechattest.Quirks{Receiver: providerID})
	p := w.EventPush(suiteID, wechattest.Event{Kind: "create_auth", Code: "authcode"})
	if err := post(t, b, suite, p); err != nil {
		t.Error(err)
	}
	if calls := engine.taken(); len(calls) != 2 || calls[0].name != suite {
		t.Errorf("%d calls, want 2 for the suite", len(calls))
	}
}

// reason returns the Reason of err, or zero for an error that is not for a peer.
func reason(err error) credential.Reason {
	if e, ok := errors.AsType[*credential.Error](err); ok {
		return e.Reason
	}
	return 0
}
