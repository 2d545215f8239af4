package inbox

import (
	"strings"
	"testing"

	"tokend/daemon/credential"
	"tokend/fetchers/wechattest"
)

// TestRefusalCauses holds that refused pushes are counted by owner and cause.
func TestRefusalCauses(t *testing.T) {
	const plain = "<xml><AppId>" + platformID + "</AppId><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket></xml>"
	b, _, _ := newTestInbox(t)
	otherKey := strings.Repeat("x", 43)
	wrongKey := sealed(t, platformTok, otherKey, platformID, plain)
	unsigned := sealed(t, platformTok, platformKey, platformID, plain)
	unsigned.MsgSignature = strings.Repeat("0", 40)
	for _, push := range []struct {
		owner string
		push  wechattest.Push
	}{
		{platform, unsigned},
		{platform, unsigned},
		{platform, wrongKey},
		{platform, sealed(t, platformTok, platformKey, "wxother", plain)},
		{platform, sealed(t, platformTok, platformKey, platformID, "not XML")},
		{"open_platform/wxstranger", unsigned},
		{"open_platform/wxanother", unsigned},
	} {
		if err := b.Receive(t.Context(), push.owner, push.push.MsgSignature, push.push.Timestamp, push.push.Nonce, push.push.Encrypt); err == nil {
			t.Fatalf("%s: accepted", push.owner)
		}
	}
	want := [credential.RefusalCount]int64{credential.WrongSignature: 2, credential.WrongKey: 1, credential.WrongReceiver: 1, credential.WrongForm: 1}
	if got := b.Refused(platform); got.N != want || got.Last.IsZero() {
		t.Errorf("of the platform:\n got %v at %v\nwant %v", got.N, got.Last, want)
	}
	if got := b.Refused(suite); got.Total() != 0 || !got.Last.IsZero() {
		t.Errorf("of the suite: got %v at %v", got.N, got.Last)
	}
	for key, n := range map[string]int64{
		"pushes_refused": 7, "pushes_refused:signature": 2, "pushes_refused:key": 1, "pushes_refused:receiver": 1,
		"pushes_refused:form": 1, "pushes_refused:owner": 2,
	} {
		if got := stat(t, b, key); got != n {
			t.Errorf("%s is %d, want %d", key, got, n)
		}
	}
}
