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

	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/wechattest"
)

// The vectors were made for this project and are documented with the algorithm.
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
		method      string // "" if nothing is to be done
		name        string
		life        time.Duration // of the code
	}{
		{platformID, platform, wechattest.Event{Kind: "authorized", Child: "wxchild", Code: "queryauthcode@@@1"}, "accept", platform + "/wxchild", hour},
		{platformID, platform, wechattest.Event{Kind: "updateauthorized", Child: "wxchild", Code: "queryauthcode@@@2"}, "accept", platform + "/wxchild", hour},
		{platformID, platform, wechattest.Event{Kind: "notify_third_fasteregister", Child: "wxchild", Code: "queryauthcode@@@3"}, "accept", platform + "/wxchild", hour},
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

func TestEngineFails(t *testing.T) {
	full := errors.New("no space left on device")
	stopping := &credential.Error{Reason: credential.Stopping, RetryAfter: time.Second, Message: "stopping"}
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
		if !strings.Contains(out.String(), "push not stored") || strings.Contains(out.String(), "ticket@@@") {
			t.Errorf("the log lacks the failure or reveals too much\n%s", out)
		}
	}
}

func TestEngineHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, engine, _ := newTestInbox(t)
		engine.act = func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("put: %w", ctx.Err()) }
		start := time.Now()
		err := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush)
		if reason(err) != credential.Busy {
			t.Errorf("got %v, want busy", err)
		}
		if took := time.Since(start); took != EngineTime {
			t.Errorf("took %v, want %v", took, EngineTime)
		}
	})
}

// A sender that hangs up, as WeCom does after a second, does not cancel the push.
func TestSenderGone(t *testing.T) {
	b, engine, _ := newTestInbox(t)
	engine.act = func(ctx context.Context) error { return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Receive(ctx, platform, ticketSigned, "1700000000", "n-0001", ticketPush); err != nil {
		t.Error(err)
	}
}

func TestSetOwners(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for owner, want := range map[string][2]bool{platform: {true, false}, suite: {true, true}, "open_work/x": {}} {
		if known, verified := b.Knows(owner); known != want[0] || verified != want[1] {
			t.Errorf("%s: known %v, verified %v, want %v", owner, known, verified, want)
		}
	}
	b.SetOwners([]Owner{suiteOwner(t)})
	if err := b.Receive(t.Context(), platform, ticketSigned, "1700000000", "n-0001", ticketPush); reason(err) != credential.NotFound {
		t.Errorf("the removed platform: %v", err)
	}
	if err := b.Receive(t.Context(), suite, suiteSigned, "1700000200", "n-0003", suitePush); err != nil {
		t.Errorf("the remaining suite: %v", err)
	}
}

func TestCodeExpiry(t *testing.T) {
	now := time.Unix(1700000000, 0)
	o := suiteOwner(t)
	for _, test := range []struct {
		name      string
		ends, end time.Duration // from now; 0 if the message has none
	}{
		{"given by the message", 5 * time.Minute, 5 * time.Minute},
		{"not given", 0, 10 * time.Minute},
		{"already expired", -time.Second, 10 * time.Minute},
		{"expires next year", 365 * 24 * time.Hour, 10 * time.Minute},
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

func event(kind string) fetchers.Event { return fetchers.Event{Kind: kind, Code: "code"} }
