package fetchers

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tokend/fetchers/secret"
)

// Why a callback is refused. The texts are fit for a peer: they hold nothing of
// the message, of the signing token or of the key. Errors of [Callback.Open],
// [ParseEnvelope] and [ParseEvent] are one of them for errors.Is.
var (
	// ErrSignature: the message was not signed with our token, or was changed on its
	// way.
	ErrSignature = errors.New("the signature is wrong")

	// ErrReceiver: the message is genuine, and meant for somebody else who shares
	// token and key with us.
	ErrReceiver = errors.New("the message is for another receiver")

	// ErrMalformed: the message is not what WeChat sends.
	ErrMalformed = errors.New("the message is malformed")
)

// Bounds of a callback. WeChat sends a time of 10 digits, a nonce of 9 or 10 and, of
// what concerns credentials, less than 4 KiB; the bounds are where a line or body of
// tokend's ends long before.
const (
	maxParameter = 128
	maxEncrypt   = 1 << 20
)

const (
	aesKeyLength = 43 // of an EncodingAESKey: 32 bytes in base64, without the "="
	padBlock     = 32 // PKCS#7 counts in blocks of 32 here, though AES has blocks of 16
	prefixLength = 16 // random bytes before the message
	headerLength = prefixLength + 4
)

// Callback opens what WeChat and WeCom push to one owner: a third-party platform or a
// suite, which has a signing token and a key of its own. It is immutable; its
// methods may be called concurrently.
type Callback struct {
	token secret.Text
	callbackKey
	receivers []string

	// What was in force before; "" and nil for none.
	previousToken secret.Text
	previousKey   *callbackKey
}

// NewCallback returns a Callback for the signing token and the EncodingAESKey of an
// owner, as its console shows them. Receivers are the ids that a message may be for:
// the component's appid; or the suite's id and the provider's corpid, which the
// verification of a URL carries. The empty id, which individual developers' apps have,
// is allowed only if it is listed.
//
// Blanks around the key are ignored. The two bits that are to spare in its last
// character may be set: the vendor's own sample key has them.
func NewCallback(token, aesKey secret.Text, receivers ...string) (*Callback, error) {
	if strings.TrimSpace(string(token)) == "" {
		return nil, errors.New("the callback token is empty")
	}
	if len(receivers) == 0 {
		return nil, errors.New("a callback needs a receiver")
	}
	key, err := newCallbackKey(aesKey)
	if err != nil {
		return nil, err
	}
	return &Callback{token: token, callbackKey: key, receivers: slices.Clone(receivers)}, nil
}

// Format shows whom the callback is for, and nothing else with any verb: package fmt does
// not ask unexported fields how they want to be shown, not even those of package secret.
func (c Callback) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "callback for %q", c.receivers)
}

// Open verifies and decrypts one message and returns it with the id that it is for, one
// of the receivers. The signature is msg_signature: the parameter called signature does
// not cover the message. All four are as they came, after the unescaping of a query;
// encrypt is the Encrypt of the body or, where a URL is verified, echostr.
//
// Nothing of encrypt is looked at before the signature is found right. A
// message may come again, and late: there is no memory and no clock here. With an
// [ErrReceiver] comes the receiver, for the log, where it can be an id; there is never a
// message beside an error.
func (c *Callback) Open(signature, timestamp, nonce, encrypt string) (plain []byte, receiver string, err error) {
	plain, receiver, _, err = c.OpenEither(signature, timestamp, nonce, encrypt)
	return plain, receiver, err
}

// CheckParameters refuses parameters that WeChat sends with no message, for a caller that has not
// read the message yet. Without a time, a nonce or a SHA-1 in lower-case hexadecimal the signature
// is wrong. A time that is no number, and a nonce that is not printable ASCII, is malformed.
// [Callback.Open] takes parameters as they are.
func CheckParameters(signature, timestamp, nonce string) error {
	switch {
	case len(signature) != hex.EncodedLen(sha1.Size) || strings.Trim(signature, "0123456789abcdef") != "", timestamp == "", nonce == "":
		return ErrSignature
	case len(timestamp) > maxParameter || len(nonce) > maxParameter:
		return malformed("a parameter is too long")
	case strings.Trim(timestamp, "0123456789") != "":
		return malformed("the timestamp is not a number")
	case strings.ContainsFunc(nonce, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return malformed("the nonce has invalid characters")
	}
	return nil
}

// sign returns the msg_signature of a message.
func (c *Callback) sign(timestamp, nonce, encrypt string) string {
	return signatureOf(c.token, timestamp, nonce, encrypt)
}

// signatureOf returns the msg_signature of a message that is signed with token.
func signatureOf(token secret.Text, timestamp, nonce, encrypt string) string {
	parts := []string{string(token), timestamp, nonce, encrypt}
	slices.Sort(parts) // bytewise
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// decrypt opens a ciphertext whose signature was right. What is inside,
//
//	random (16 bytes) | length (4, big endian) | message | receiver | padding
//
// may still be anything: whoever knows the token can sign. So nothing is
// believed, and every fault has the same text, which tells a forger nothing of the padding.
func (k callbackKey) decrypt(encrypt string) (plain []byte, receiver string, err error) {
	fault := fmt.Errorf("%w: it does not decrypt", ErrMalformed)
	text, err := base64.StdEncoding.DecodeString(encrypt)
	if err != nil || len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return nil, "", fault
	}
	cipher.NewCBCDecrypter(k.block, k.iv).CryptBlocks(text, text)

	pad := int(text[len(text)-1])
	if pad < 1 || pad > padBlock || pad > len(text) {
		return nil, "", fault
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return nil, "", fault
		}
	}
	text = text[:len(text)-pad]
	if len(text) < headerLength {
		return nil, "", fault
	}
	// Compared before it is added to anything, and in 64 bits: in 32 the sum of
	// header and length wraps.
	length := uint64(binary.BigEndian.Uint32(text[prefixLength:headerLength]))
	text = text[headerLength:]
	if length > uint64(len(text)) {
		return nil, "", fault
	}
	return text[:length:length], string(text[length:]), nil
}
