package fetchers_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

// callback returns the receiving side of an owner's pushes.
func callback(t *testing.T, owner string) *fetchers.Callback {
	t.Helper()
	token, key, receivers := "selfTok2", suiteKey, []string{"wws", "wwprovider"}
	switch owner {
	case "wxc":
		token, key, receivers = "selfTok1", componentKey, []string{"wxc"}
	case "dks":
		token, receivers = "selfTok3", []string{"dks", "wwprovider"}
	}
	c, err := fetchers.NewCallback(secret.Text(token), secret.Text(key), receivers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open processes a push to its event.
func open(t *testing.T, owner string, p wechattest.Push) (fetchers.Event, error) {
	t.Helper()
	envelope, err := fetchers.ParseEnvelope(p.Body)
	if err != nil {
		return fetchers.Event{}, err
	}
	if envelope.Encrypt != p.Encrypt {
		t.Errorf("the body's Encrypt is read as %q", envelope.Encrypt)
	}
	q := p.Query
	plain, _, err := callback(t, owner).Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), envelope.Encrypt)
	if err != nil {
		return fetchers.Event{}, err
	}
	if !bytes.Equal(plain, p.Plain) {
		t.Errorf("opened:\n got %s\nwant %s", plain, p.Plain)
	}
	return fetchers.ParseEvent(plain)
}

// Every event, in every form that WeChat may use.
func TestWeChatEvents(t *testing.T) {
	events := map[string][]wechattest.Event{
		"wxc": {
			{Kind: "component_verify_ticket", Ticket: "ticket@@@1"},
			{Kind: "authorized", Child: "wxa", Code: "queryauthcode@@@1"},
			{Kind: "updateauthorized", Child: "wxa", Code: "queryauthcode@@@2"},
			{Kind: "unauthorized", Child: "wxa"},
			{Kind: "notify_third_fasteregister", Child: "wxm", Code: "code-3"},
			{Kind: "something_new"},
		},
		"wws": {
			{Kind: "suite_ticket", Ticket: "ticket-1"},
			{Kind: "create_auth", Code: "code-1", State: "s&<>"},
			{Kind: "change_auth", Child: "wwa"},
			{Kind: "cancel_auth", Child: "wwa"},
			{Kind: "reset_permanent_code", Code: "code-2"},
			{Kind: "change_contact"},
		},
	}
	quirks := map[string]wechattest.Quirks{
		"as usual":        {},
		"without CDATA":   {NoCDATA: true},
		"with spaces":     {Blanks: true},
		"shuffled":        {Shuffled: true},
		"everything":      {NoCDATA: true, Blanks: true, Shuffled: true, RelativeExpiry: true},
		"relative expiry": {RelativeExpiry: true},
		"one hour old":    {Age: time.Hour},
	}
	for name, q := range quirks {
		for owner, list := range events {
			synctest.Test(t, func(t *testing.T) {
				p := newPlatform(wechattest.Settings{})
				p.w.SetQuirks(owner, q)
				for _, sent := range list {
					got, err := open(t, owner, p.w.EventPush(owner, sent))
					made := time.Now().Add(-q.Age).Truncate(time.Second)
					if err != nil || got.Kind != sent.Kind || got.Owner != owner || !got.Time.Equal(made) ||
						string(got.Ticket) != sent.Ticket || got.Child != sent.Child || string(got.Code) != sent.Code {
						t.Errorf("%s, %s: got %+v, %v", name, sent.Kind, got, err)
					}
					if got.Code != "" && got.Kind != fetchers.EventFastRegister && got.CodeExpires.Sub(got.Time) <= 0 {
						t.Errorf("%s, %s: the code ends at %v, made at %v", name, sent.Kind, got.CodeExpires, got.Time)
					}
				}
			})
		}
	}
}

func TestWeChatForeignPushes(t *testing.T) {
	tests := []struct {
		name   string
		quirks wechattest.Quirks
		want   error
	}{
		{"wrong signature", wechattest.Quirks{BadSignature: true}, fetchers.ErrSignature},
		{"wrong receiver", wechattest.Quirks{Receiver: "wwother"}, fetchers.ErrReceiver},
		{"no receiver", wechattest.Quirks{EmptyReceiver: true}, fetchers.ErrReceiver},
	}
	for _, tt := range tests {
		for _, owner := range []string{"wxc", "wws"} {
			p := newPlatform(wechattest.Settings{})
			p.w.SetQuirks(owner, tt.quirks)
			if e, err := open(t, owner, p.w.TicketPush(owner)); !errors.Is(err, tt.want) || e != (fetchers.Event{}) {
				t.Errorf("%s to %s: got %v", tt.name, owner, err)
			}
		}
	}
	p := newPlatform(wechattest.Settings{})
	p.w.SetQuirks("wws", wechattest.Quirks{Owner: "wwother"})
	if e, err := open(t, "wws", p.w.TicketPush("wws")); err != nil || e.Owner != "wwother" {
		t.Errorf("an event of another: got %q, %v", e.Owner, err)
	}
	p.w.SetQuirks("wws", wechattest.Quirks{Receiver: "wwprovider"})
	if e, err := open(t, "wws", p.w.TicketPush("wws")); err != nil || e.Owner != "wws" {
		t.Errorf("for the provider: got %q, %v", e.Owner, err)
	}
}

func TestWeChatVerification(t *testing.T) {
	p := newPlatform(wechattest.Settings{})
	q, echo := p.w.Verification("wws")
	// As a handler receives it: escaped and parsed again.
	r, err := http.NewRequest(http.MethodGet, "http://callback.test/?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	q = r.URL.Query()
	plain, receiver, err := callback(t, "wws").Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), q.Get("echostr"))
	if err != nil || string(plain) != echo || receiver != "wwprovider" {
		t.Errorf("got %q for %q, %v", plain, receiver, err)
	}
}
