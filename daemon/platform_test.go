package daemon

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
	"tokend/fetchers/wechattest"
)

// platformsTOML is catalogtest.TOML with listeners for pushes and pages.
const platformsTOML = `
[http]
listen = "127.0.0.1:%d"

[pages]
listen = "127.0.0.1:0"
` + catalogtest.TOML

// platformSite is a site whose WeChat knows the platforms and sends callbacks.
type platformSite struct {
	*site
	base string // of the callbacks
}

func newPlatformSite(t *testing.T) (*platformSite, *config.Config) {
	t.Helper()
	s := newSite(t)
	port := freePort(t)
	p := &platformSite{s, fmt.Sprintf("http://127.0.0.1:%d/callback/", port)}
	catalogtest.AddOwners(s.wechat, p.base)
	return p, s.config(fmt.Sprintf(platformsTOML, port))
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// pushTicket pushes owner's ticket over HTTP, as WeChat does.
func (s *platformSite) pushTicket(owner string) {
	s.t.Helper()
	if d := s.wechat.Send(s.t.Context(), owner, s.wechat.TicketPush(owner)); d.Err != nil || d.Status != 200 || d.Body != "success" {
		s.t.Fatalf("push of a ticket to %s: answered %d %q, %v", owner, d.Status, d.Body, d.Err)
	}
}

func (s *platformSite) get(name string) string {
	s.t.Helper()
	c, err := s.client.Get(s.t.Context(), name)
	if err != nil {
		s.t.Fatalf("GET %s: %v", name, err)
	}
	return string(c.Value)
}

func (s *platformSite) wantError(name string, want error) {
	s.t.Helper()
	if _, err := s.client.Get(s.t.Context(), name); !errors.Is(err, want) {
		s.t.Errorf("GET %s: got %v, want %v", name, err, want)
	}
}

// eventually retries f until it returns true. The daemon answers events before it acts on them.
func (s *site) eventually(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	s.t.Errorf("%s: not within 20 s", what)
}

// TestServiceProviderFlow does every step of EasyWeChat's OpenWork page over the socket.
func TestServiceProviderFlow(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	ctx := t.Context()

	s.get("open_work/wwprovider/provider_access_token")
	s.wantError("open_work/wwsuite1/suite_access_token", clientlib.ErrWaiting)
	s.pushTicket("wwsuite1")
	push := s.wechat.TicketPush("wwsuite2") // the other one by the verb, as a web page would pass it on
	if err := s.client.Push(ctx, "open_work/wwsuite2", clientlib.Callback{
		MsgSignature: push.MsgSignature, Timestamp: push.Timestamp, Nonce: push.Nonce, Encrypt: push.Encrypt,
	}); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, suite := range []string{"wwsuite1", "wwsuite2"} {
		tokens[suite] = s.get("open_work/" + suite + "/suite_access_token")
		if a, b := s.get("open_work/"+suite+"/pre_auth_code"), s.get("open_work/"+suite+"/pre_auth_code"); a == b {
			t.Errorf("%s: two requests got the same pre_auth_code", suite)
		}
		for _, corp := range []string{"wwcorp1", "wwcorp2"} {
			s.wantError("open_work/"+suite+"/"+corp+"/access_token", clientlib.ErrReauth)
			code := s.wechat.Authorize(suite, corp)
			name, err := s.client.Exchange(ctx, "open_work/"+suite, clientlib.Secret(code))
			if err != nil || name != "open_work/"+suite+"/"+corp {
				t.Fatalf("EXCHANGE: got %q, %v", name, err)
			}
			for _, word := range []string{"access_token", "jsapi_ticket", "agent_config_ticket"} {
				tokens[name+"/"+word] = s.get(name + "/" + word)
			}
			if _, err := s.client.Sign(ctx, name+"/jsapi_ticket", "https://example.com/a?b=c#d"); err != nil {
				t.Errorf("SIGN: %v", err)
			}
			s.wantError(name+"/permanent_code", clientlib.ErrDenied)
		}
	}
	seen := map[string]string{}
	for name, v := range tokens {
		if other, ok := seen[v]; ok {
			t.Errorf("%s and %s share a value", name, other)
		}
		seen[v] = name
	}
	calls := s.wechat.Total()
	d.stop()
	s.start(file)
	for name, v := range tokens {
		if !strings.Contains(name, "/") {
			name = "open_work/" + name + "/suite_access_token"
		}
		if got := s.get(name); got != v {
			t.Errorf("%s: another value after a restart", name)
		}
	}
	if n := s.wechat.Total() - calls; n != 0 {
		t.Errorf("calls after a restart: %d", n)
	}
}

// TestPlatformFlow does what the web site of a third-party platform does.
func TestPlatformFlow(t *testing.T) {
	t.Parallel()
	s, file := newPlatformSite(t)
	s.start(file)
	ctx := t.Context()
	const customer = "open_platform/wxcomponent/wxcustomer"

	s.wantError("open_platform/wxcomponent/component_verify_ticket", clientlib.ErrWaiting)
	s.pushTicket("wxcomponent")
	if n := s.wechat.Total(); n != 0 {
		t.Errorf("the push alone made %d calls", n)
	}
	s.get("open_platform/wxcomponent/component_access_token")

	// A customer whose grant comes from an old database.
	grant := s.wechat.AddCustomer("wxcomponent", "wxold")
	if err := s.client.Put(ctx, "open_platform/wxcomponent/wxold/refresh_token", clientlib.Secret(grant)); err != nil {
		t.Fatal(err)
	}
	if v := s.get("open_platform/wxcomponent/wxold/access_token"); !s.wechat.Valid(v) {
		t.Error("WeChat does not accept the token of the old customer")
	}
	s.get("open_platform/wxcomponent/wxold/jsapi_ticket")

	// A new customer. The authorization event is enough.
	s.wantError(customer+"/access_token", clientlib.ErrReauth)
	s.wechat.Authorize("wxcomponent", "wxcustomer")
	s.wechat.Flush(ctx)
	s.eventually("the new customer's token", func() bool {
		_, err := s.client.Get(ctx, customer+"/access_token")
		return err == nil
	})
	first := s.get(customer + "/access_token")
	s.get(customer + "/jsapi_ticket")
	s.get(customer + "/sdk_ticket")
	if _, err := s.client.Sign(ctx, customer+"/jsapi_ticket", "https://example.com/"); err != nil {
		t.Errorf("SIGN: %v", err)
	}

	// The customer withdraws the authorization, then authorizes again.
	time.Sleep(1100 * time.Millisecond) // WeChat's events have times in seconds
	s.wechat.Unauthorize("wxcomponent", "wxcustomer")
	s.wechat.Flush(ctx)
	calls := s.wechat.Total()
	for range 10 {
		s.wantError(customer+"/access_token", clientlib.ErrReauth)
		s.wantError(customer+"/jsapi_ticket", clientlib.ErrReauth)
		s.wantError(customer+"/sdk_ticket", clientlib.ErrReauth)
	}
	if n := s.wechat.Total() - calls; n != 0 {
		t.Errorf("calls for a customer without authorization: %d", n)
	}
	s.get("open_platform/wxcomponent/wxold/access_token")
	time.Sleep(1100 * time.Millisecond)
	s.wechat.Authorize("wxcomponent", "wxcustomer")
	s.wechat.Flush(ctx)
	s.eventually("the token of the customer who came back", func() bool {
		_, err := s.client.Get(ctx, customer+"/access_token")
		return err == nil
	})
	if v := s.get(customer + "/access_token"); v == first || !s.wechat.Valid(v) {
		t.Error("an old value is served after the second authorization")
	}
	for _, d := range s.wechat.Deliveries() {
		if d.Body != "success" {
			t.Errorf("a push of %q was answered %d %q", d.Kind, d.Status, d.Body)
		}
	}
}

func TestTemplatePermanentCodeIsSecret(t *testing.T) {
	s, file := newPlatformSite(t)
	s.start(file)
	s.pushTicket("dktemplate")
	s.wechat.Authorize("dktemplate", "wwcorp1")
	s.wechat.Flush(t.Context())
	const name = "open_work/dktemplate/wwcorp1/access_token"
	s.eventually("the template's token", func() bool {
		_, err := s.client.Get(t.Context(), name)
		return err == nil
	})
	if v := s.get(name); !s.wechat.Valid(v) {
		t.Error("WeChat does not accept the token")
	}
	if n := s.wechat.Calls(wechattest.CorpToken); n != 1 {
		t.Errorf("calls to gettoken: got %d, want 1", n)
	}
	s.wechat.ResetPermanentCode("dktemplate", "wwcorp1")
	s.wechat.Flush(t.Context())
	s.eventually("a token by the new code", func() bool { return s.wechat.Calls(wechattest.CorpToken) == 2 })
}

func TestCallbacksAnsweredDuringSlowExchanges(t *testing.T) {
	t.Parallel()
	s, file := newPlatformSite(t)
	file.Upstream.Timeout = 30 * time.Second
	s.start(file)
	s.pushTicket("wxcomponent")
	s.get("open_platform/wxcomponent/component_access_token")
	clear := s.wechat.Inject(wechattest.Fault{Hang: true})
	for i := range 10 {
		s.wechat.Authorize("wxcomponent", fmt.Sprintf("wxc%d", i))
	}
	s.wechat.Flush(t.Context())
	s.pushTicket("wxcomponent")
	for _, d := range s.wechat.Deliveries() {
		// WeChat requires an answer within 1 s. A busy test machine gets 10 s, and the exchange
		// takes 30 s. Tests of package web check the limit of 1 s in virtual time.
		if d.Body != "success" || d.Took > 10*time.Second {
			t.Errorf("answered %d %q after %v", d.Status, d.Body, d.Took)
		}
	}
	clear()
}

func TestWeComVerifiesTheAddress(t *testing.T) {
	s, file := newPlatformSite(t)
	s.start(file)
	if err := s.wechat.VerifyCallback(t.Context(), "wwsuite1"); err != nil {
		t.Error(err)
	}
}

func TestForgedPushesIgnored(t *testing.T) {
	s, file := newPlatformSite(t)
	s.start(file)
	s.pushTicket("wxcomponent")
	right := s.get("open_platform/wxcomponent/component_verify_ticket")
	for _, q := range []wechattest.Quirks{
		{BadSignature: true}, {Receiver: "wxother"}, {EmptyReceiver: true}, {Owner: "wxother"}, {Age: time.Hour},
	} {
		s.wechat.SetQuirks("wxcomponent", q)
		d := s.wechat.Send(t.Context(), "wxcomponent", s.wechat.TicketPush("wxcomponent"))
		if q.Age == 0 && (d.Status != 403 && d.Status != 400 || strings.Contains(d.Body, "success")) {
			t.Errorf("%+v: answered %d %q", q, d.Status, d.Body)
		}
	}
	if got := s.get("open_platform/wxcomponent/component_verify_ticket"); got != right {
		t.Error("the stored ticket has changed")
	}
	if n := s.wechat.Total(); n != 0 {
		t.Errorf("calls caused by pushes: %d", n)
	}
}

func TestImport(t *testing.T) {
	s, file := newPlatformSite(t)
	s.start(file)
	s.pushTicket("wxcomponent")
	var want []string
	for i := range 1203 {
		child := fmt.Sprintf("wx%04d", i)
		s.wechat.AddCustomer("wxcomponent", child)
		want = append(want, "open_platform/wxcomponent/"+child+"/refresh_token")
	}
	for offset := 0; ; {
		page, err := s.client.Import(t.Context(), "open_platform/wxcomponent", offset)
		if err != nil {
			t.Fatal(err)
		}
		if offset = page.Next; offset == 0 {
			break
		}
	}
	list, err := s.client.List(t.Context(), "open_platform/wxcomponent/wx")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list {
		got = append(got, l.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d grants, want %d", len(got), len(want))
	}
	s.get("open_platform/wxcomponent/wx0777/access_token")
}

// TestUnescapedTextCostsNoGrant checks that a grant survives text that a user typed and WeChat does
// not escape.
func TestUnescapedTextCostsNoGrant(t *testing.T) {
	s, file := newPlatformSite(t)
	s.start(file)
	s.pushTicket("wwsuite1")
	const typed = "Wei\b\n\x02\xe4\xb8 & <Söhne>"

	s.wechat.SetQuirks("wwsuite1", wechattest.Quirks{Typed: typed, RedirectOnly: true})
	name, err := s.client.Exchange(t.Context(), "open_work/wwsuite1", clientlib.Secret(s.wechat.Authorize("wwsuite1", "wwcorp1")))
	if err != nil {
		t.Fatalf("EXCHANGE: %v", err)
	}
	s.get(name + "/access_token")

	s.wechat.SetCallback("wwsuite1", s.base+"open_work/wwsuite1/?from=console;v=%zz")
	event := wechattest.Event{Kind: "create_auth", Code: s.wechat.Authorize("wwsuite1", "wwcorp2")}
	if d := s.wechat.Send(t.Context(), "wwsuite1", s.wechat.EventPush("wwsuite1", event)); d.Status != 200 || d.Body != "success" {
		t.Fatalf("create_auth: answered %d %q, %v", d.Status, d.Body, d.Err)
	}
	s.eventually("the grant of a pushed code", func() bool {
		_, err := s.client.Get(t.Context(), "open_work/wwsuite1/wwcorp2/access_token")
		return err == nil
	})
}
