package wechattest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// run runs RunPushes during f and waits for its end.
func (c caller) run(f func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.RunPushes(ctx) }()
	defer func() { cancel(); <-ended }()
	f()
}

func kinds(ds []Delivery, owner string) (kinds []string) {
	for _, d := range ds {
		if d.Owner == owner {
			kinds = append(kinds, d.Kind)
		}
	}
	return kinds
}

func TestTicketInterval(t *testing.T) {
	pushed(t, Settings{}, nil, func(c caller, to *consumer) {
		c.run(func() {
			time.Sleep(time.Hour - 1)
			if a, b := to.count("/wxplatform"), to.count("/wwsuite"); a != 6 || b != 6 {
				t.Errorf("within an hour: %d and %d tickets", a, b)
			}
			c.SetAway(true)
			time.Sleep(time.Hour)
			if n := to.count("/wwsuite"); n != 6 {
				t.Errorf("unreachable: %d tickets", n)
			}
			c.SetAway(false)
			synctest.Wait()
			if n := to.count("/wwsuite"); n != 7 {
				t.Errorf("reachable again: %d tickets", n)
			}
			c.SetCallback("wwsuite", "")
			time.Sleep(time.Hour - 1)
			if a, b := to.count("/wxplatform"), to.count("/wwsuite"); a != 12 || b != 7 {
				t.Errorf("one without a callback: %d and %d tickets", a, b)
			}
			c.SetCallback("wwsuite2", "http://callback.test/wwsuite2")
			synctest.Wait()
			if n := to.count("/wwsuite2"); n != 1 {
				t.Errorf("after SetCallback: %d tickets", n)
			}
		})
	})
}

func TestTicketIntervalScaled(t *testing.T) {
	pushed(t, Settings{Lifetime: 12 * time.Second}, nil, func(c caller, to *consumer) {
		c.run(func() {
			time.Sleep(10*time.Second - 1)
			if n := to.count("/wwsuite"); n != 10 {
				t.Errorf("in ten seconds of a twelve second life: %d tickets", n)
			}
		})
	})
}

func TestStartPush(t *testing.T) {
	pushed(t, Settings{}, nil, func(c caller, to *consumer) {
		start := func() said {
			return c.post(StartPush, "component_appid", "wxplatform", "component_secret", "platform-secret")
		}
		c.run(func() {
			if got := start(); got.ErrCode != 0 || got.ErrMsg != "in a normal state" {
				t.Errorf("got %s", got.raw)
			}
			c.SetTicketPushes("wxplatform", false)
			time.Sleep(time.Hour)
			n := to.count("/wxplatform")
			if n > 1 || to.count("/wwsuite") < 6 {
				t.Errorf("stopped: %d tickets", n)
			}
			if got := start(); got.ErrCode != 0 || got.ErrMsg != "ok" {
				t.Errorf("got %s", got.raw)
			}
			synctest.Wait()
			if to.count("/wxplatform") != n {
				t.Error("a ticket at once")
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if got := to.count("/wxplatform"); got != n+1 {
				t.Errorf("ten minutes later: %d tickets more", got-n)
			}
			if got := start(); got.ErrMsg != "in a normal state" {
				t.Errorf("got %s", got.raw)
			}
		})
	})
}

func TestEventOrder(t *testing.T) {
	pushed(t, Settings{}, nil, func(c caller, _ *consumer) {
		c.SetTicketPushes("wxplatform", false)
		c.SetTicketPushes("wwsuite", false)
		c.Authorize("wxplatform", "wxA")
		c.UpdateAuthorized("wxplatform", "wxA")
		c.Unauthorize("wxplatform", "wxA")
		c.Unauthorize("wxplatform", "wxA") // no longer a customer
		c.Authorize("wxother", "wxA")      // which has no callback
		c.QueueEvent("wxplatform", Event{Kind: "something_new"})
		c.Authorize("wwsuite", "wwA")
		c.UpdateAuthorized("wwsuite", "wwA")
		c.ResetPermanentCode("wwsuite", "wwA")
		c.Unauthorize("wwsuite", "wwA")
		c.AddCustomer("wwsuite", "wwB")
		c.SetQuirks("wwsuite", Quirks{RedirectOnly: true})
		if c.Authorize("wwsuite", "wwC") == "" {
			t.Error("no code in the redirect")
		}
		c.run(synctest.Wait)
		platform := []string{"authorized", "updateauthorized", "unauthorized", "something_new"}
		suite := []string{"create_auth", "change_auth", "reset_permanent_code", "cancel_auth"}
		if got := kinds(c.Deliveries(), "wxplatform"); !slices.Equal(got, platform) {
			t.Errorf("\n got %v\nwant %v", got, platform)
		}
		if got := kinds(c.Deliveries(), "wwsuite"); !slices.Equal(got, suite) {
			t.Errorf("\n got %v\nwant %v", got, suite)
		}
	})
}

func TestSlowCallback(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wwsuite" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "success")
	}
	pushed(t, Settings{}, hang, func(c caller, to *consumer) {
		start := time.Now()
		c.run(func() {
			synctest.Wait() // the tickets are being sent
			c.Authorize("wxplatform", "wxA")
			c.Authorize("wwsuite", "wwA")
			synctest.Wait()
			if n := to.count("/wxplatform"); n != 2 {
				t.Errorf("the platform got %d pushes", n)
			}
			// The ticket's three attempts take 5 s each, the event's 1 s.
			time.Sleep(16*time.Second + time.Second/2)
			if n := to.count("/wwsuite"); n != 5 {
				t.Errorf("the suite got %d attempts", n)
			}
		})
		if d := time.Since(start); d != 16*time.Second+time.Second/2 {
			t.Errorf("RunPushes ended after %v: pushes in progress were not cut off", d)
		}
	})
}

func TestFailuresPausePlatform(t *testing.T) {
	bad := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }
	pushed(t, Settings{PushTries: 1}, bad, func(c caller, to *consumer) {
		c.SetTicketPushes("wxplatform", false)
		c.SetTicketPushes("wwsuite", false)
		for range 4 {
			c.QueueEvent("wxplatform", Event{Kind: "unauthorized", Child: "wxA"})
			c.QueueEvent("wwsuite", Event{Kind: "cancel_auth", Child: "wwA"})
		}
		c.run(func() {
			time.Sleep(time.Minute - 1)
			if a, b := to.count("/wxplatform"), to.count("/wwsuite"); a != 3 || b != 4 {
				t.Errorf("before the minute is over: %d and %d pushes", a, b)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := to.count("/wxplatform"); n != 4 {
				t.Errorf("after the minute: %d pushes", n)
			}
		})
	})
}

func TestFlush(t *testing.T) {
	pushed(t, Settings{}, nil, func(c caller, to *consumer) {
		c.SetQuirks("wxplatform", Quirks{Duplicate: true})
		c.Authorize("wxplatform", "wxA")
		c.Authorize("wwsuite", "wwA")
		c.Flush(c.t.Context())
		if a, b := to.count("/wxplatform"), to.count("/wwsuite"); a != 2 || b != 1 || to.got[1] != to.got[2] && to.got[0] != to.got[1] {
			t.Errorf("got %d and %d pushes, nonces %v", a, b, to.got)
		}
		c.Flush(c.t.Context())
		if n := len(to.got); n != 3 {
			t.Errorf("flushed again: %d pushes", n)
		}
	})
}

// A whole installation by pushes alone, as a callback's program sees it.
func TestInstallationByPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c caller
		var ticket, code string
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			q := r.URL.Query()
			_, rest, _ := strings.Cut(string(b), "<Encrypt><![CDATA[")
			encrypt, _, _ := strings.Cut(rest, "]]>")
			p := Push{Query: q, Body: b, MsgSignature: q.Get("msg_signature"), Timestamp: q.Get("timestamp"), Nonce: q.Get("nonce"), Encrypt: encrypt}
			msg, _ := open(t, testKeyA, encrypt)
			p.Plain = []byte(msg)
			switch m, _ := c.read(p, "platformTok", testKeyA); m.InfoType {
			case "component_verify_ticket":
				ticket = m.ComponentVerifyTicket
			case "authorized":
				code = m.AuthorizationCode
			}
			_, _ = io.WriteString(w, "success")
		})
		c = newCaller(t, Settings{PushTransport: HandlerTransport(h)})
		c.SetCallback("wxplatform", "http://callback.test/")
		c.run(func() {
			want := c.Authorize("wxplatform", "wxA")
			synctest.Wait()
			if ticket == "" || code != want {
				t.Fatalf("ticket %q, code %q, want %q", ticket, code, want)
			}
			in := c.queryAuth(c.componentTokenBy(ticket).Component, code).Info
			if in == nil || in.Refresh != c.CurrentGrant("wxplatform", "wxA") {
				t.Errorf("got %+v", in)
			}
		})
	})
}
