package inbox

import (
	"strings"
	"testing"

	"tokend/daemon/credential"
)

// FuzzReceive signs its input, so that the fuzzer reaches the code after the signature check.
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
		if err != nil && reason(err) != credential.Denied && reason(err) != credential.Unfit {
			t.Errorf("refused with %v", err)
		}
		if receiver != platformID && err == nil {
			t.Errorf("receiver %q was accepted", receiver)
		}
	})
}
