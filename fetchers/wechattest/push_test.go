package wechattest

import (
	"encoding/xml"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// envelope is a push's decoded body.
type envelope struct{ AppId, ToUserName, Encrypt string }

// opened is the decoded message inside.
type opened struct {
	AppId, SuiteId, InfoType                 string
	CreateTime, TimeStamp                    int64
	ComponentVerifyTicket, SuiteTicket       string
	AuthorizerAppid, AuthorizationCode       string
	PreAuthCode, AuthCode, AuthCorpId, State string
	AuthorizationCodeExpiredTime             int64
	Appid                                    string `xml:"appid"`
	Status                                   string `xml:"status"`
	FastCode                                 string `xml:"auth_code"`
	Name                                     string `xml:"info>name"`
}

// read opens a push and checks the rules that every push obeys.
func (c caller) read(p Push, token, key string) (m opened, receiver string) {
	c.t.Helper()
	var e envelope
	if err := xml.Unmarshal(p.Body, &e); err != nil || strings.TrimSpace(e.Encrypt) != p.Encrypt {
		c.t.Fatalf("envelope %s: %v", p.Body, err)
	}
	q := p.Query
	if q.Get("msg_signature") != p.MsgSignature || q.Get("timestamp") != p.Timestamp || q.Get("nonce") != p.Nonce {
		c.t.Errorf("the query %v is not that of the push", q)
	}
	if want := Signature(token, p.Timestamp, p.Nonce, p.Encrypt); p.MsgSignature != want {
		c.t.Errorf("msg_signature:\n got %s\nwant %s", p.MsgSignature, want)
	}
	msg, receiver := open(c.t, key, p.Encrypt)
	if msg != string(p.Plain) {
		c.t.Errorf("sealed:\n got %s\nwant %s", msg, p.Plain)
	}
	if err := xml.Unmarshal([]byte(msg), &m); err != nil {
		c.t.Fatalf("%s: %v", msg, err)
	}
	m.InfoType = strings.TrimSpace(m.InfoType)
	return m, receiver
}

func TestTicketPush(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		now := time.Now().Unix()
		p := c.TicketPush("wxplatform")
		m, receiver := c.read(p, "platformTok", testKeyA)
		want := opened{AppId: "wxplatform", CreateTime: now, InfoType: "component_verify_ticket", ComponentVerifyTicket: p.Event.Ticket}
		if m != want || receiver != "wxplatform" {
			t.Errorf("for %s:\n got %+v\nwant %+v", receiver, m, want)
		}
		if got := p.Query.Get("signature"); got != Signature("platformTok", p.Timestamp, p.Nonce) || p.Query.Get("encrypt_type") != "aes" || len(p.Query) != 5 {
			t.Errorf("query %v", p.Query)
		}
		if !regexp.MustCompile(`^<xml><AppId><!\[CDATA\[wxplatform\]\]></AppId><Encrypt><!\[CDATA\[[A-Za-z0-9+/=]+\]\]></Encrypt></xml>$`).Match(p.Body) {
			t.Errorf("body %s", p.Body)
		}

		p = c.TicketPush("wwsuite")
		m, receiver = c.read(p, "suiteTok", testKeyB)
		want = opened{SuiteId: "wwsuite", TimeStamp: now, InfoType: "suite_ticket", SuiteTicket: p.Event.Ticket}
		if m != want || receiver != "wwsuite" || len(p.Query) != 3 {
			t.Errorf("for %s, query %v:\n got %+v\nwant %+v", receiver, p.Query, m, want)
		}
		if !regexp.MustCompile(`^<xml><ToUserName><!\[CDATA\[wwsuite\]\]></ToUserName><Encrypt><!\[CDATA\[[^<]+\]\]></Encrypt><AgentID><!\[CDATA\[\]\]></AgentID></xml>$`).Match(p.Body) {
			t.Errorf("body %s", p.Body)
		}
		if !c.Valid(p.Event.Ticket) || c.TicketPush("wwsuite").Event.Ticket == p.Event.Ticket {
			t.Error("an invalid ticket, or the same one twice")
		}
	})
}

func TestEventPush(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		now := time.Now().Unix()
		code := c.Authorize("wxplatform", "wxA")
		time.Sleep(time.Minute)
		pre := c.post(PreAuthCode+"?access_token="+c.component(), "component_appid", "wxplatform").PreAuth
		platform := func(e Event, want opened) {
			t.Helper()
			want.AppId, want.CreateTime, want.InfoType = "wxplatform", now+60, e.Kind
			if got, receiver := c.read(c.EventPush("wxplatform", e), "platformTok", testKeyA); got != want || receiver != "wxplatform" {
				t.Errorf("%s for %s:\n got %+v\nwant %+v", e.Kind, receiver, got, want)
			}
		}
		authorized := opened{AuthorizerAppid: "wxA", AuthorizationCode: code, AuthorizationCodeExpiredTime: now + 3600, PreAuthCode: pre}
		platform(Event{Kind: "authorized", Child: "wxA", Code: code}, authorized)
		platform(Event{Kind: "updateauthorized", Child: "wxA", Code: code}, authorized)
		platform(Event{Kind: "unauthorized", Child: "wxA", Code: "not sent"}, opened{AuthorizerAppid: "wxA"})
		platform(Event{Kind: "notify_third_fasteregister", Child: "wxB", Code: code}, opened{Appid: "wxB", Status: "0", FastCode: code, Name: "Customer"})
		platform(Event{Kind: "notify_third_fasteregister", Child: "wxB", Code: code, Status: 100001}, opened{Appid: "wxB", Status: "100001", Name: "Customer"})
		platform(Event{Kind: "something_new", Child: "wxB", Code: code}, opened{})

		c.SetQuirks("wxplatform", Quirks{RelativeExpiry: true})
		if m, _ := c.read(c.EventPush("wxplatform", Event{Kind: "authorized", Code: code}), "platformTok", testKeyA); m.AuthorizationCodeExpiredTime != 3540 {
			t.Errorf("relative expiry: got %d", m.AuthorizationCodeExpiredTime)
		}

		suite := func(e Event, want opened) {
			t.Helper()
			want.SuiteId, want.TimeStamp, want.InfoType = "wwsuite", now+60, e.Kind
			if got, receiver := c.read(c.EventPush("wwsuite", e), "suiteTok", testKeyB); got != want || receiver != "wwsuite" {
				t.Errorf("%s for %s:\n got %+v\nwant %+v", e.Kind, receiver, got, want)
			}
		}
		suite(Event{Kind: "create_auth", Child: "not sent", Code: "c", State: "s]]>&<"}, opened{AuthCode: "c", State: "s]]>&<"})
		suite(Event{Kind: "reset_permanent_code", Code: "c"}, opened{AuthCode: "c"})
		suite(Event{Kind: "change_auth", Child: "wwA", State: "s"}, opened{AuthCorpId: "wwA", State: "s"})
		suite(Event{Kind: "cancel_auth", Child: "wwA"}, opened{AuthCorpId: "wwA"})
		suite(Event{Kind: "share_agent_change", Child: "wwA"}, opened{})
	})
}

func TestQuirks(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		for _, owner := range []struct{ id, token, key string }{{"wxplatform", "platformTok", testKeyA}, {"wwsuite", "suiteTok", testKeyB}} {
			made := func(q Quirks) (Push, opened, string) {
				t.Helper()
				c.SetQuirks(owner.id, q)
				p := c.TicketPush(owner.id)
				m, receiver := c.read(p, owner.token, owner.key)
				return p, m, receiver
			}
			for name, q := range map[string]Quirks{
				"no CDATA": {NoCDATA: true}, "blanks": {Blanks: true}, "both": {NoCDATA: true, Blanks: true}, "shuffled": {Shuffled: true},
			} {
				p, m, receiver := made(q)
				if m.AppId+m.SuiteId == "" || strings.TrimSpace(m.ComponentVerifyTicket+m.SuiteTicket) != p.Event.Ticket || receiver != owner.id {
					t.Errorf("%s, %s: got %+v for %s", owner.id, name, m, receiver)
				}
				if q.NoCDATA == strings.Contains(string(p.Plain)+string(p.Body), "CDATA") {
					t.Errorf("%s, %s: got %s", owner.id, name, p.Plain)
				}
				if q.Blanks && !strings.Contains(string(p.Plain), "\n  <InfoType> ") {
					t.Errorf("%s, %s: got %s", owner.id, name, p.Plain)
				}
			}
			orders := map[int]bool{}
			for range 50 {
				p, _, _ := made(Quirks{Shuffled: true})
				orders[strings.Index(string(p.Plain), "<InfoType>")] = true
			}
			if len(orders) < 3 {
				t.Errorf("%s: shuffled into %d places", owner.id, len(orders))
			}
			if p, m, _ := made(Quirks{Age: time.Minute}); m.CreateTime+m.TimeStamp != time.Now().Unix()-60 || p.Timestamp != strconv.FormatInt(time.Now().Unix(), 10) {
				t.Errorf("%s, aged: got %+v", owner.id, m)
			}
			if _, _, receiver := made(Quirks{Receiver: "wxforeign"}); receiver != "wxforeign" {
				t.Errorf("%s: receiver %s", owner.id, receiver)
			}
			if _, _, receiver := made(Quirks{EmptyReceiver: true}); receiver != "" {
				t.Errorf("%s: receiver %s", owner.id, receiver)
			}
			if p, m, receiver := made(Quirks{Owner: "wxforeign"}); m.AppId+m.SuiteId != "wxforeign" || receiver != owner.id || !strings.Contains(string(p.Body), "[wxforeign]") {
				t.Errorf("%s: foreign: got %+v for %s", owner.id, m, receiver)
			}
			c.SetQuirks(owner.id, Quirks{BadSignature: true})
			p := c.TicketPush(owner.id)
			if p.MsgSignature == Signature(owner.token, p.Timestamp, p.Nonce, p.Encrypt) || len(p.MsgSignature) != 40 || p.Query.Get("msg_signature") != p.MsgSignature {
				t.Errorf("%s: signature %s", owner.id, p.MsgSignature)
			}
		}
	})
}

// TestShuffledBySeed: the message and its envelope have varying orders, which are the same for the
// same seed.
func TestShuffledBySeed(t *testing.T) {
	orders := func(seed uint64) (all []string) {
		bubble(t, Settings{Seed: seed}, func(c caller) {
			c.SetQuirks("wwsuite", Quirks{Shuffled: true})
			for range 20 {
				p := c.EventPush("wwsuite", Event{Kind: "create_auth", Code: "c", State: "s"})
				all = append(all, string(p.Plain), string(p.Body))
			}
		})
		return all
	}
	first := orders(1)
	envelopes := map[int]bool{}
	for i := 1; i < len(first); i += 2 {
		envelopes[strings.Index(first[i], "<ToUserName>")] = true
	}
	if len(envelopes) < 3 {
		t.Errorf("the envelope has %d orders", len(envelopes))
	}
	if !slices.Equal(first, orders(1)) {
		t.Error("two runs with the same seed differ")
	}
	if slices.Equal(first, orders(2)) {
		t.Error("two seeds give the same order")
	}
}

func TestVerification(t *testing.T) {
	c := newCaller(t, Settings{})
	q, echo := c.Verification("dktemplate")
	if got := Signature("templateTok", q.Get("timestamp"), q.Get("nonce"), q.Get("echostr")); got != q.Get("msg_signature") || len(q) != 4 {
		t.Errorf("query %v", q)
	}
	msg, receiver := open(t, testKeyB, q.Get("echostr"))
	if msg != echo || len(echo) != 19 || receiver != "wwprovider" {
		t.Errorf("got %q for %s, want %q", msg, receiver, echo)
	}
}

func TestRequest(t *testing.T) {
	c := newCaller(t, Settings{})
	p := c.TicketPush("wwsuite")
	r, err := p.Request(t.Context(), "http://127.0.0.1:1/callback?kept=yes")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != string(p.Body) || r.Method != http.MethodPost || r.URL.Query().Get("kept") != "yes" || r.URL.Query().Get("nonce") != p.Nonce {
		t.Errorf("%s %s: %s, %v", r.Method, r.URL, body, err)
	}
	if _, err := p.Request(t.Context(), ":"); err == nil {
		t.Error("a request to no URL")
	}
}

func TestChangedKeys(t *testing.T) {
	c := newCaller(t, Settings{})
	grant, ticket := c.AddCustomer("wxplatform", "wxA"), c.TicketPush("wxplatform").Event.Ticket
	c.AddPlatform("wxplatform", "another", "newTok", testKeyB)
	c.read(c.TicketPush("wxplatform"), "newTok", testKeyB)
	c.isCode(c.componentTokenBy(ticket), 40125)
	c.AddPlatform("wxplatform", "platform-secret", "newTok", testKeyB)
	c.isCode(c.componentTokenBy(ticket), 0)
	if c.CurrentGrant("wxplatform", "wxA") != grant {
		t.Error("the customer is missing")
	}
}
