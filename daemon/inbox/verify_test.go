package inbox

import (
	"strings"
	"testing"

	"tokend/daemon/credential"
)

// A captured push carries a signature that is valid for a verification. Its plain text must not be
// returned.
func TestPushNotEchoed(t *testing.T) {
	b, _, _ := newTestInbox(t)
	for _, test := range []struct {
		name, receiver, plain string
		want                  string
	}{
		{"a number", providerID, "123", "123"},
		{"a push to the provider", providerID, "<xml><SuiteId>" + suiteID + "</SuiteId><AuthCode>canary</AuthCode></xml>", ""},
		{"a push to the suite", suiteID, "123", ""},
		{"nothing", providerID, "", ""},
		{"too long for a number", providerID, strings.Repeat("1", maxEcho+1), ""},
		{"a line break", providerID, "1\n2", ""},
	} {
		p := sealed(t, suiteTok, suiteKey, test.receiver, test.plain)
		got, err := b.Verify(suite, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
		if string(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
	if _, err := b.Verify(suite, echoSigned, "1700000100", "n-0009", echoPush); reason(err) != credential.Denied {
		t.Errorf("a wrong signature: %v", err)
	}
	for _, owner := range []string{platform, "open_work/wwother"} {
		if _, err := b.Verify(owner, echoSigned, "1700000100", "n-0002", echoPush); reason(err) != credential.NotFound {
			t.Errorf("%s: %v, want it not found", owner, err)
		}
	}
}
