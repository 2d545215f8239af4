package inbox

import (
	"fmt"
	"strings"
	"testing"

	"tokend/fetchers/wechattest"
)

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
	if len(all) != maxKinds+4 {
		t.Errorf("%d counters, want %d", len(all), maxKinds+4)
	}
	for i := range all[1:] {
		if all[i].Key >= all[i+1].Key {
			t.Errorf("%s before %s", all[i].Key, all[i+1].Key)
		}
	}
	if n := strings.Count(out.String(), "[INFO]"); n != maxKinds+1 {
		t.Errorf("%d lines of info, want one for each counted kind", n)
	}
}

func TestLogWithoutSecrets(t *testing.T) {
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
