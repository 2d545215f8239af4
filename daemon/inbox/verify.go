package inbox

import (
	"fmt"

	"tokend/fetchers"
)

// maxEcho is the longest text of a verification, in bytes. WeCom sends a number of some 19 digits.
const maxEcho = 256

// Verify returns what WeCom's verification of owner's address is to be answered with. Its
// errors are those of [Inbox.Receive].
func (b *Inbox) Verify(owner, signature, timestamp, nonce, echo string) ([]byte, error) {
	o := b.owner(owner)
	if o == nil || o.Verify == nil {
		return nil, b.refused(errUnknown)
	}
	plain, _, err := o.Verify.Open(signature, timestamp, nonce, echo)
	if err == nil && !echoable(plain) {
		err = fmt.Errorf("%w: it is no verification", fetchers.ErrMalformed)
	}
	if err != nil {
		return nil, b.refused(err)
	}
	b.log.Info("callback address verified", "owner", o.Path)
	return plain, nil
}

// echoable reports whether plain is a text that may be given back. A captured push has a signature
// as good as a verification's: without this, whoever has one could ask for its plain text, and with
// it for the ticket or the code inside. All pushes are XML.
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
