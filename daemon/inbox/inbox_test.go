package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokend/daemon/refresh"
	"tokend/fetchers"
	"tokend/fetchers/wechattest"
)

// The vectors are self-made, and written down beside the description of the algorithm.
const (
	ticketPush   = "l1FkQe8DysPLUazd+vrPOOpTYuGeGURpnvCVqAVzLqHK2jnjmsC/LDoJulnXkGK0GIYVo6+l5+gOGbbqq96IqXgVcnwRKyNibwXcPni9ObDzjHwRqZls/XEb8P62Q7qjhhGAjIEzv53R1nvhOrsFLSlgM+gLAjE9FzLK4LKYNTv4Ehvwo3vMGBadx2FEfgkp3X/NjQ0Uv1Z6rsCHHUHzwjLAiBM1y8YodS4cTs7Pl3ru5RhkmtQwsJOiDlc1aiIU+cBjVTvLjLhz1SlNAyck1afKrDOsBm0ImAKekXhH6rbmMNSh1cUjLY20/oJmB3TdSdHx/rPKHTTc9lyGDeSmrh1g+ax9wgC6V6V+seUsB0xkADEBOdG2PLDF5omb/KnH"
	ticketSigned = "5fc667f87dbf251108c034283b8d74ba0cada0d3"

	echoPush   = "xZvSqKpq0h0d07UIGHnbozKXEyvof73KJz150hBBxBW0RMH7ac1AEEbgyu+YCXn966pguqeieYphjMEx2S+XLQ=="
	echoSigned = "8172def6266a63f2ded0f4006b29283bf4a94f26"

	suitePush   = "d14mYgwDeenWvvJEHBm/xes7M+TaGwyyPExUC8r4twZ8HJXXpvrGI4Ia5xwsORzDa/4cB4aNbnVm3US80sRsStRaELG44zOM42EZigAfoPmqUKAFeF2ASGUgrTKbkPjj7IPR8n6mCX/WNwIaMUE680Qc1H90Osf1b5EhMfAGWP4x8Ui65KtksViaiv21tK6pHTgCI+n3ITW2pEaPIv1Mum4zgNbSbcOdMh5f5pWe3S93wM2bJRqWKcwIRQZrAk5WvFd83008xAe0sfcs9L7LWGNCe+USSdguS9ef1NoUjYoLv15vNO4XmZFSQwXK1TCvyl1VEM4FU26wvvrzcqgT8w=="
	suiteSigned = "3fc65c70e70cad94cc7a237267f4349b597b0419"
)

func TestVectors(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	if err := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush); err != nil {
		t.Errorf("component_verify_ticket: %v", err)
	}
	if err := b.Receive(t.Context(), suite, suiteSigned, "1700000200", "n-0003", suitePush); err != nil {
		t.Errorf("suite_ticket: %v", err)
	}
	want := []call{
		{method: "push", name: platform + "/component_verify_ticket", value: "ticket@@@selfmade-0001", at: time.Unix(1700000000, 0)},
		{method: "push", name: suite + "/suite_ticket", value: "suiteticket-selfmade-0001", at: time.Unix(1700000200, 0)},
	}
	if diff := cmp.Diff(want, engine.taken(), cmp.AllowUnexported(call{})); diff != "" {
		t.Error(diff)
	}
	echo, err := b.Verify(suite, echoSigned, "1700000100", "n-0002", echoPush)
	if string(echo) != "4611686018427387905" || err != nil {
		t.Errorf("verification: %q, %v", echo, err)
	}
}

func TestEvents(t *testing.T) {
	const hour, tenMinutes = time.Hour, 10 * time.Minute
	for _, test := range []struct {
		owner, path string
		event       wechattest.Event
		method      string // "" where nothing is to be done
		name        string
		life        time.Duration // of the code
	}{
		{platformID, platform, wechattest.Event{Kind: "authorized", Child: "wxchild", Code: "queryauthcode@@@1"}, "accept", platform, hour},
		{platformID, platform, wechattest.Event{Kind: "updateauthorized", Child: "wxchild", Code: "queryauthcode@@@2"}, "accept", platform, hour},
		{platformID, platform, wechattest.Event{Kind: "notify_third_fasteregister", Child: "wxchild", Code: "queryauthcode@@@3"}, "accept", platform, hour},
		{platformID, platform, wechattest.Event{Kind: "notify_third_fasteregister", Child: "wxchild", Status: 100001}, "", "", 0},
		{platformID, platform, wechattest.Event{Kind: "unauthorized", Child: "wxchild"}, "revoke", platform + "/wxchild/refresh_token", 0},
		{platformID, platform, wechattest.Event{Kind: "a_kind_of_next_year"}, "", "", 0},
		{suiteID, suite, wechattest.Event{Kind: "create_auth", Code: "authcode1"}, "accept", suite, tenMinutes},
		{suiteID, suite, wechattest.Event{Kind: "reset_permanent_code", Code: "authcode2"}, "accept", suite, tenMinutes},
		{suiteID, suite, wechattest.Event{Kind: "change_auth", Child: "wwchild"}, "", "", 0},
		{suiteID, suite, wechattest.Event{Kind: "cancel_auth", Child: "wwchild"}, "revoke", suite + "/wwchild/permanent_code", 0},
		{suiteID, suite, wechattest.Event{Kind: "change_contact", Child: "wwchild"}, "", "", 0},
	} {
		t.Run(fmt.Sprint(test.event.Kind, test.event.Status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, engine, _ := newTestInbox(t)
				if err := post(t, b, test.path, newTestWeChat(t).EventPush(test.owner, test.event)); err != nil {
					t.Fatal(err)
				}
				var want []call
				if test.method != "" {
					c := call{method: test.method, name: test.name, value: test.event.Code, at: time.Now()}
					if test.life != 0 {
						c.until = c.at.Add(test.life)
					}
					want = []call{c, c} // by body and by fields
				}
				if diff := cmp.Diff(want, engine.taken(), cmp.AllowUnexported(call{})); diff != "" {
					t.Error(diff)
				}
				if n := stat(t, b, "pushes:"+test.event.Kind); n != 2 {
					t.Errorf("counted %d times, want 2", n)
				}
			})
		})
	}
}

func TestTickets(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	w := newTestWeChat(t)
	for owner, path := range map[string]string{platformID: platform, suiteID: suite} {
		for _, q := range []wechattest.Quirks{{}, {NoCDATA: true}, {Blanks: true}, {Shuffled: true}, {Age: time.Hour}} {
			w.SetQuirks(owner, q)
			p := w.TicketPush(owner)
			if err := post(t, b, path, p); err != nil {
				t.Errorf("%s with %+v: %v", path, q, err)
			}
			for _, c := range engine.taken() { // twice: by body and by fields
				if c.method != "push" || c.value != p.Event.Ticket || !strings.HasPrefix(c.name, path+"/") {
					t.Errorf("%s with %+v: %s of %s", path, q, c.method, c.name)
				}
				if age := time.Since(c.at); age < q.Age || age > q.Age+time.Minute {
					t.Errorf("%s with %+v: the message is %v old", path, q, age)
				}
			}
		}
	}
}

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
		reason refresh.Reason
	}{
		{"an owner that is not there", "open_platform/wxother", seal(platformID, ticket), refresh.NotFound},
		{"no owner", "", seal(platformID, ticket), refresh.NotFound},
		{"another owner's push", suite, seal(platformID, ticket), refresh.Denied},
		{"another nonce", platform, change(seal(platformID, ticket), func(p *wechattest.Push) { p.Nonce = "n-0002" }), refresh.Denied},
		{"no signature", platform, change(seal(platformID, ticket), func(p *wechattest.Push) { p.MsgSignature = "" }), refresh.Denied},
		{"the signature that leaves the body out", platform, change(seal(platformID, ticket), func(p *wechattest.Push) {
			p.MsgSignature = wechattest.Signature(platformTok, p.Timestamp, p.Nonce)
		}), refresh.Denied},
		{"another receiver", platform, seal("wxother", ticket), refresh.Denied},
		{"no receiver", platform, seal("", ticket), refresh.Denied},
		{"another's AppId", platform, seal(platformID, strings.ReplaceAll(ticket, platformID, "wxother")), refresh.Denied},
		{"another's AppId, of a kind that is not known", platform,
			seal(platformID, "<xml><AppId>wxother</AppId><InfoType>news</InfoType></xml>"), refresh.Denied},
		{"no AppId", platform, seal(platformID, strings.ReplaceAll(ticket, platformID, "")), refresh.Unfit},
		{"an empty ticket", platform, seal(platformID, strings.ReplaceAll(ticket, "canary", "")), refresh.Unfit},
		{"no XML", platform, seal(platformID, "canary"), refresh.Unfit},
		{"half an XML", platform, seal(platformID, ticket[:len(ticket)-1]), refresh.Unfit},
		{"a DOCTYPE", platform, seal(platformID, "<!DOCTYPE xml>"+ticket), refresh.Unfit},
		{"a customer that is no id", platform,
			seal(platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>unauthorized</InfoType><AuthorizerAppid>a/../b</AuthorizerAppid></xml>"), refresh.Unfit},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, engine, out := newTestInbox(t)
			err := post(t, b, test.owner, test.push)
			e, ok := errors.AsType[*refresh.Error](err)
			if !ok {
				t.Fatalf("got %v, want an error for a peer", err)
			}
			if e.Reason != test.reason {
				t.Errorf("reason %v, want %v", e.Reason, test.reason)
			}
			if e.RetryAfter != refresh.Never {
				t.Errorf("to be tried again after %v", e.RetryAfter)
			}
			if strings.Contains(e.Message, "canary") || strings.Contains(out.String(), "canary") {
				t.Error("the error or the log shows what was pushed")
			}
			if calls := engine.taken(); len(calls) != 0 {
				t.Errorf("the engine heard of it %d times", len(calls))
			}
			if got := stat(t, b, "pushes_refused"); got != 2 {
				t.Errorf("pushes_refused is %d, want 2", got)
			}
		})
	}
}

func TestEnvelopeThatIsNone(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for _, body := range []string{"", "x", "<xml/>", "<xml><Encrypt></Encrypt></xml>", "<!DOCTYPE x><xml><Encrypt>x</Encrypt></xml>"} {
		err := b.Envelope(t.Context(), platform, "s", "t", "n", []byte(body))
		if e, ok := errors.AsType[*refresh.Error](err); !ok || e.Reason != refresh.Unfit {
			t.Errorf("%q: %v, want it malformed", body, err)
		}
	}
}

// What the body says of its addressee is not signed, and WeCom has sent the provider's corpid there.
func TestEnvelopeAddressIsNotBelieved(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	body := "<xml><ToUserName>" + providerID + "</ToUserName><AppId>wxother</AppId><Encrypt>" + suitePush + "</Encrypt></xml>"
	if err := b.Envelope(t.Context(), suite, suiteSigned, "1700000200", "n-0003", []byte(body)); err != nil {
		t.Error(err)
	}
	if n := len(engine.taken()); n != 1 {
		t.Errorf("the engine heard of it %d times, want once", n)
	}
}

func TestReceiverMayBeTheProvider(t *testing.T) {
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

// A captured push is signed as well as a verification is: it must not be answered with
// its plain text.
func TestVerificationGivesAwayNoPush(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for _, test := range []struct {
		name, receiver, plain string
		want                  string
	}{
		{"a number", providerID, "123", "123"},
		{"a push to the provider", providerID, "<xml><SuiteId>" + suiteID + "</SuiteId><AuthCode>canary</AuthCode></xml>", ""},
		{"a push to the suite", suiteID, "123", ""},
		{"nothing", providerID, "", ""},
		{"more than any number", providerID, strings.Repeat("1", maxEcho+1), ""},
		{"a line break", providerID, "1\n2", ""},
	} {
		p := sealed(t, suiteTok, suiteKey, test.receiver, test.plain)
		got, err := b.Verify(suite, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
		if string(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
	if _, err := b.Verify(suite, echoSigned, "1700000100", "n-0009", echoPush); reason(err) != refresh.Denied {
		t.Errorf("a wrong signature: %v", err)
	}
	for _, owner := range []string{platform, "open_work/wwother"} {
		if _, err := b.Verify(owner, echoSigned, "1700000100", "n-0002", echoPush); reason(err) != refresh.NotFound {
			t.Errorf("%s: %v, want it not found", owner, err)
		}
	}
}

func TestEngineThatRefuses(t *testing.T) {
	full := errors.New("no space left on device")
	stopping := &refresh.Error{Reason: refresh.Stopping, RetryAfter: time.Second, Message: "stopping"}
	for _, err := range []error{full, stopping} {
		b, engine, out := newTestInbox(t)
		engine.act = func(context.Context) error { return err }
		got := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush)
		if !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
		if n := stat(t, b, "pushes_failed"); n != 1 {
			t.Errorf("pushes_failed is %d, want 1", n)
		}
		if !strings.Contains(out.String(), "push not kept") || strings.Contains(out.String(), "ticket@@@") {
			t.Errorf("the log does not say so, or too much\n%s", out)
		}
	}
}

func TestEngineThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, engine, _ := newTestInbox(t)
		engine.act = func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("put: %w", ctx.Err()) }
		start := time.Now()
		err := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush)
		if reason(err) != refresh.Busy {
			t.Errorf("got %v, want busy", err)
		}
		if took := time.Since(start); took != EngineTime {
			t.Errorf("took %v, want %v", took, EngineTime)
		}
	})
}

// A sender that hangs up, as WeCom does after a second, takes nothing away.
func TestSenderThatDoesNotWait(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	engine.act = func(ctx context.Context) error { return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Receive(ctx, platform, ticketSigned, "1700000000", "n-0001", ticketPush); err != nil {
		t.Error(err)
	}
}

func TestOwnersAreReplacedAsAWhole(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for owner, want := range map[string][2]bool{platform: {true, false}, suite: {true, true}, "open_work/x": {}} {
		if known, verified := b.Knows(owner); known != want[0] || verified != want[1] {
			t.Errorf("%s: known %v, verified %v, want %v", owner, known, verified, want)
		}
	}
	b.SetOwners([]Owner{suiteOwner(t)})
	if err := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush); reason(err) != refresh.NotFound {
		t.Errorf("a platform that is gone: %v", err)
	}
	if err := b.Receive(t.Context(), suite, suiteSigned, "1700000200", "n-0003", suitePush); err != nil {
		t.Errorf("the suite that has stayed: %v", err)
	}
}

func TestCodesEnd(t *testing.T) {
	now := time.Unix(1700000000, 0)
	o := suiteOwner(t)
	for _, test := range []struct {
		name      string
		ends, end time.Duration // from now; 0 for not said
	}{
		{"as the message says", 5 * time.Minute, 5 * time.Minute},
		{"the message does not say", 0, 10 * time.Minute},
		{"it has ended already", -time.Second, 10 * time.Minute},
		{"it ends next year", 365 * 24 * time.Hour, 10 * time.Minute},
	} {
		e := event("create_auth")
		if test.ends != 0 {
			e.CodeExpires = now.Add(test.ends)
		}
		if got, want := until(&o, e, now), now.Add(test.end); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", test.name, got, want)
		}
	}
}

func TestStats(t *testing.T) {
	b, _, out := newTestInbox(t)
	w := newTestWeChat(t)
	for n := range maxKinds + 10 {
		p := w.EventPush(platformID, wechattest.Event{Kind: fmt.Sprintf("kind%03d", n)})
		for range 3 {
			if err := b.Receive(t.Context(), platform, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := sealed(t, platformTok, platformKey, platformID, "<xml><Event>subscribe</Event></xml>")
	if err := b.Receive(t.Context(), platform, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt); err != nil {
		t.Errorf("a message without a kind: %v", err)
	}
	for key, want := range map[string]int64{"pushes:kind000": 3, "pushes:kind127": 3, "pushes:other": 31, "pushes_refused": 0, "pushes_failed": 0} {
		if got := stat(t, b, key); got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	all := b.Stats()
	if len(all) != maxKinds+3 {
		t.Errorf("%d counters, want %d", len(all), maxKinds+3)
	}
	for i := range all[1:] {
		if all[i].Key >= all[i+1].Key {
			t.Errorf("%s before %s", all[i].Key, all[i+1].Key)
		}
	}
	if n := strings.Count(out.String(), "[INFO]"); n != maxKinds+1 {
		t.Errorf("%d lines of info, want one for each kind that is counted", n)
	}
}

func TestLogHoldsNothingSecret(t *testing.T) {
	b, _, out := newTestInbox(t)
	w := newTestWeChat(t)
	for _, p := range []wechattest.Push{
		w.TicketPush(platformID),
		w.EventPush(platformID, wechattest.Event{Kind: "authorized", Child: "wxchild", Code: "queryauthcode@@@canary"}),
		w.EventPush(platformID, wechattest.Event{Kind: "unauthorized", Child: "wxchild"}),
	} {
		if err := post(t, b, platform, p); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"ticket": p.Event.Ticket, "code": p.Event.Code, "body": p.Encrypt, "signature": p.MsgSignature} {
			if text != "" && strings.Contains(out.String(), text) {
				t.Errorf("%s: the log holds the %s", p.Event.Kind, name)
			}
		}
		if !strings.Contains(out.String(), "kind="+p.Event.Kind) {
			t.Errorf("%s: the log does not name it", p.Event.Kind)
		}
	}
}

func event(kind string) fetchers.Event { return fetchers.Event{Kind: kind, Code: "code"} }

// reason returns why err is one, or zero for an error that is not for a peer.
func reason(err error) refresh.Reason {
	if e, ok := errors.AsType[*refresh.Error](err); ok {
		return e.Reason
	}
	return 0
}

// stat returns the value of a counter.
func stat(t *testing.T, b *Inbox, key string) int64 {
	t.Helper()
	for _, s := range b.Stats() {
		if s.Key == key {
			return s.Value
		}
	}
	t.Errorf("no counter %s", key)
	return 0
}

// FuzzReceive signs whatever it is given, so that what lies behind the signature is reached.
func FuzzReceive(f *testing.F) {
	f.Add(platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>x</ComponentVerifyTicket></xml>")
	f.Add(platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>authorized</InfoType><AuthorizationCode>x</AuthorizationCode></xml>")
	f.Add(platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>unauthorized</InfoType><AuthorizerAppid>wxchild</AuthorizerAppid></xml>")
	f.Add(platformID, "<xml><InfoType>\u2028</InfoType></xml>")
	f.Add("wxother", "<xml/>")
	f.Fuzz(func(t *testing.T, receiver, plain string) {
		b, engine, _ := newTestInbox(t)
		p := sealed(t, platformTok, platformKey, receiver, plain)
		err := b.Receive(t.Context(), platform, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
		calls := engine.taken()
		if len(calls) > 1 || len(calls) == 1 && err != nil {
			t.Errorf("%d calls and %v", len(calls), err)
		}
		for _, c := range calls {
			if c.name != platform && !strings.HasPrefix(c.name, platform+"/") {
				t.Errorf("a call for %q", c.name)
			}
		}
		if err != nil && reason(err) != refresh.Denied && reason(err) != refresh.Unfit {
			t.Errorf("refused with %v", err)
		}
		if receiver != platformID && err == nil {
			t.Errorf("receiver %q was accepted", receiver)
		}
	})
}
