package inbox

import (
	"fmt"

	"tokend/fetchers"
)

// maxEcho is the longest echo of a verification, in bytes. WeCom sends a number of about 19 digits.
const maxEcho = 256

// Verify returns the answer to WeCom's verification of owner's callback URL. Its errors are those
// of [Inbox.Receive].
func (b *Inbox) Verify(owner, signature, timestamp, nonce, echo string) ([]byte, error) {
	o := b.owner(owner)
	if o == nil || o.Verify == nil {
		return nil, b.refused(owner, errUnknown)
	}
	plain, _, err := o.Verify.Open(signature, timestamp, nonce, echo)
	if err == nil && !echoable(plain) {
		err = fmt.Errorf("%w: not a verification", fetchers.ErrMalformed)
	}
	if err != nil {
		return nil, b.refused(owner, err)
	}
	b.log.Info("callback URL verified", "owner", o.Path)
	return plain, nil
}

// echoable reports whether plain may be returned. A captured push carries a signature that is also
// valid for a verification. Without this check, an attacker with a captured push could obtain its
// plain text, and with it the ticket or the code. All pushes are XML.
func echoable(plain []byte) bool {
	if len(plain) == 0 || len(plain) > maxEcho {
		return false
	}
	for _, c := range plain {
		if c <= ' ' || c > '~' || c == '<' {
			return false
		}
	}
	return true
}
