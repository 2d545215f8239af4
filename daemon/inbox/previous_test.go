package inbox

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

const (
	oldTok = "theTokenBefore"
	oldKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// afterChange returns an inbox whose owners' token and key have changed.
func afterChange(t *testing.T) (*Inbox, *fakeEngine, func() string) {
	t.Helper()
	b, engine, out := newTestInbox(t)
	owners := []Owner{platformOwner(t), suiteOwner(t)}
	for i := range owners {
		o := &owners[i]
		var err error
		if o.Callback, err = o.Callback.WithPrevious(secret.Text(oldTok), secret.Text(oldKey)); err != nil {
			t.Fatal(err)
		}
		if o.Verify != nil {
			if o.Verify, err = o.Verify.WithPrevious(secret.Text(oldTok), secret.Text(oldKey)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.SetOwners(owners)
	return b, engine, out.String
}

// TestPreviousSecrets delivers pushes and verifications in every combination of current and
// previous token and key, by HTTP and by PUSH. Those with a previous one are counted, and logged
// once a day per owner.
func TestPreviousSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, engine, log := afterChange(t)
		logged := func() int { return strings.Count(log(), "previous token or key") }
		push := func(token, key string) {
			t.Helper()
			ticket := "<xml><SuiteId>" + suiteID + "</SuiteId><InfoType>suite_ticket</InfoType><TimeStamp>1700000000</TimeStamp><SuiteTicket>t</SuiteTicket></xml>"
			if err := post(t, b, suite, sealed(t, token, key, suiteID, ticket)); err != nil {
				t.Error(err)
			}
			if n := len(engine.taken()); n != 2 {
				t.Errorf("%d tickets, want 2", n)
			}
		}
		push(suiteTok, suiteKey)
		if n := stat(t, b, "pushes_previous"); n != 0 || logged() != 0 {
			t.Errorf("current secrets: %d counted, %d logged", n, logged())
		}
		push(suiteTok, oldKey)
		push(oldTok, suiteKey)
		push(oldTok, oldKey)
		if n := stat(t, b, "pushes_previous"); n != 6 || logged() != 1 {
			t.Errorf("previous secrets: %d counted, %d logged; want 6, 1", n, logged())
		}
		p := sealed(t, oldTok, oldKey, platformID, "<xml><AppId>"+platformID+"</AppId><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket></xml>")
		if err := post(t, b, platform, p); err != nil || logged() != 2 {
			t.Errorf("another owner: %v, %d logged, want 2", err, logged())
		}
		engine.taken()
		time.Sleep(24*time.Hour - time.Second)
		push(oldTok, oldKey)
		if logged() != 2 {
			t.Errorf("the same day: %d logged, want 2", logged())
		}
		time.Sleep(time.Second)
		push(oldTok, oldKey)
		if logged() != 3 {
			t.Errorf("the next day: %d logged, want 3", logged())
		}
		for _, token := range []string{suiteTok, oldTok} {
			for _, key := range []string{suiteKey, oldKey} {
				p := sealed(t, token, key, providerID, "123")
				got, err := b.Verify(suite, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
				if string(got) != "123" || err != nil {
					t.Errorf("verification: %q, %v", got, err)
				}
			}
		}
		for _, secret := range []string{oldTok, oldKey, suiteTok, suiteKey} {
			if strings.Contains(log(), secret) {
				t.Errorf("the log holds %s", secret)
			}
		}
	})
}

// TestPreviousSecretsEnd: previous secrets are rejected once the configuration no longer has them.
func TestPreviousSecretsEnd(t *testing.T) {
	b, _, _ := afterChange(t)
	b.SetOwners([]Owner{suiteOwner(t)})
	p := sealed(t, oldTok, oldKey, suiteID, "<xml/>")
	if err := post(t, b, suite, p); reason(err) != credential.Denied {
		t.Errorf("got %v, want it denied", err)
	}
}
