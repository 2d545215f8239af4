package fetchers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tokend/fetchers/secret"
)

const (
	oldToken = secret.Text("theTokenBeforeTheChange")
	oldKey   = secret.Text("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
)

// TestPreviousSecrets: the current and the previous token, and the current and the previous key,
// are accepted in every combination, and nothing else is.
func TestPreviousSecrets(t *testing.T) {
	const message = "<xml/>"
	current := suiteCallback(t)
	stranger := mustCallback(t, "anotherToken", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", suiteID)
	tokens := map[string]secret.Text{"current": suiteToken, "previous": oldToken, "other": stranger.token, "no": ""}
	keys := map[string]*Callback{"current": current, "previous": mustCallback(t, oldToken, oldKey, suiteID), "other": stranger}
	for _, test := range []struct {
		name       string
		token, key secret.Text // the previous ones
	}{
		{"both", oldToken, oldKey},
		{"token", oldToken, ""},
		{"key", "", oldKey},
		{"none", "", ""},
	} {
		c, err := current.WithPrevious(test.token, test.key)
		if err != nil {
			t.Fatal(err)
		}
		for signer, token := range tokens {
			for sealer, key := range keys {
				text := encrypt(key, layout(uint32(len(message)), message+suiteID))
				plain, receiver, previous, err := c.OpenEither(signatureOf(token, "1", "2", text), "1", "2", text)
				var want error
				switch {
				case signer == "other", signer == "no", signer == "previous" && test.token == "":
					want = ErrSignature
				case sealer == "other", sealer == "previous" && test.key == "":
					want = ErrMalformed
				}
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%s: %s token, %s key: got %v, want %v", test.name, signer, sealer, err, want)
					continue
				}
				old := signer == "previous" || sealer == "previous"
				if err == nil && (string(plain) != message || receiver != suiteID || previous != old) {
					t.Errorf("%s: %s token, %s key: got %q for %q, previous %v", test.name, signer, sealer, plain, receiver, previous)
				}
				if err != nil && plain != nil {
					t.Errorf("%s: %s token, %s key: a message with an error", test.name, signer, sealer)
				}
			}
		}
	}
}

// TestPreviousKeyReceiver: the receiver is also checked with the previous key.
func TestPreviousKeyReceiver(t *testing.T) {
	c, err := suiteCallback(t).WithPrevious("", oldKey)
	if err != nil {
		t.Fatal(err)
	}
	text := encrypt(mustCallback(t, oldToken, oldKey, "a"), layout(1, "xwwother"))
	plain, receiver, err := c.Open(c.sign("1", "2", text), "1", "2", text)
	if !errors.Is(err, ErrReceiver) || plain != nil || receiver != "wwother" {
		t.Errorf("got %q for %q, %v", plain, receiver, err)
	}
}

func TestWithPrevious(t *testing.T) {
	c := suiteCallback(t)
	if _, err := c.WithPrevious("", oldKey[1:]); err == nil || strings.Contains(err.Error(), string(oldKey[1:])) {
		t.Errorf("a short key: %v", err)
	}
	with, err := c.WithPrevious(oldToken, oldKey)
	if err != nil {
		t.Fatal(err)
	}
	if c.previousToken != "" || c.previousKey != nil {
		t.Error("the original was modified")
	}
	shown := fmt.Sprintf("%v %+v %#v %x %v %#v", with, with, with, with, *with, *with)
	for _, s := range []string{string(oldToken), string(oldKey), string(suiteToken), "105, 183"} {
		if strings.Contains(shown, s) {
			t.Errorf("shows %s: %s", s, shown)
		}
	}
}
