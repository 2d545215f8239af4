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

// Reasons to reject a callback. The texts are safe to show to a peer: they contain nothing of the
// message, the signing token or the key. An error of [Callback.Open], [ParseEnvelope] or
// [ParseEvent] matches one of them with errors.Is.
var (
	// ErrSignature: the message was not signed with the owner's token, or was modified in transit.
	ErrSignature = errors.New("the signature is wrong")

	// ErrReceiver: the message is genuine but addressed to another owner with the same token and
	// key.
	ErrReceiver = errors.New("the message is for another receiver")

	// ErrKey: the message was signed with the owner's token and not encrypted with its key. It is
	// also an ErrMalformed. The text is the same for every fault of a decryption.
	ErrKey = fmt.Errorf("%w: decryption failed", ErrMalformed)

	// ErrMalformed: WeChat does not send such messages.
	ErrMalformed = errors.New("the message is malformed")
)

// Bounds of a callback. WeChat sends a time of 10 digits and a nonce of 9 or 10. Its credential
// events have less than 4 KiB. tokend's limits on lines and bodies apply well before these bounds.
const (
	maxParameter = 128
	maxEncrypt   = 1 << 20
)

const (
	aesKeyLength = 43 // an EncodingAESKey: 32 bytes in base64 without the "="
	padBlock     = 32 // PKCS#7 pads to multiples of 32 here, although AES has blocks of 16
	prefixLength = 16 // random bytes before the message
	headerLength = prefixLength + 4
)

// Callback opens the pushes of WeChat and WeCom to one owner: a third-party platform or a suite,
// with its own signing token and key. It is immutable, and its methods may be called concurrently.
type Callback struct {
	token secret.Text
	callbackKey
	receivers []string

	// The previous secrets; "" and nil if there are none.
	previousToken secret.Text
	previousKey   *callbackKey
}

// NewCallback returns a Callback for the signing token and the EncodingAESKey of an owner, as shown
// in its console. receivers are the IDs that a message may be addressed to: the component's appid,
// or the suite's ID and the provider's corpid. The corpid is the receiver in the verification of a
// URL. The empty ID, as in apps of individual developers, is allowed only if it is listed.
//
// Spaces around the key are ignored. The two unused bits of its last character may be set, as in
// the vendor's own sample key.
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

// Format prints the receivers and nothing else, with any verb. Package fmt does not call formatting
// methods on unexported fields, not even those of package secret.
func (c Callback) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "callback for %q", c.receivers)
}

// Open verifies and decrypts one message. It returns the message and its receiver, one of the
// callback's receivers. signature is msg_signature; the parameter called signature does not cover
// the message. All four parameters are as received, after unescaping the query. encrypt is the
// Encrypt of the body, or echostr if a URL is verified.
//
// Open does not examine encrypt before the signature is verified. It has no replay cache and no
// clock, so a message may come again and late. With [ErrReceiver] it returns the receiver, for the
// log, if that can be an ID. It never returns a message with an error.
func (c *Callback) Open(signature, timestamp, nonce, encrypt string) (plain []byte, receiver string, err error) {
	plain, receiver, _, err = c.OpenEither(signature, timestamp, nonce, encrypt)
	return plain, receiver, err
}

// CheckParameters rejects parameters that WeChat never sends, before the message is read. Without a
// time, a nonce and a SHA-1 in lower-case hexadecimal, the error is ErrSignature. A time that is
// not a number, or a nonce that is not printable ASCII, is ErrMalformed. [Callback.Open] does not
// check this.
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

// signatureOf returns the msg_signature of a message signed with token.
func signatureOf(token secret.Text, timestamp, nonce, encrypt string) string {
	parts := []string{string(token), timestamp, nonce, encrypt}
	slices.Sort(parts) // bytewise
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// decrypt opens a ciphertext after its signature was verified. The content,
//
//	random (16 bytes) | length (4, big endian) | message | receiver | padding
//
// is not trusted, because everybody who knows the token can sign. All faults have the same text,
// which reveals nothing about the padding.
func (k callbackKey) decrypt(encrypt string) (plain []byte, receiver string, err error) {
	text, err := base64.StdEncoding.DecodeString(encrypt)
	if err != nil || len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return nil, "", ErrKey
	}
	cipher.NewCBCDecrypter(k.block, k.iv).CryptBlocks(text, text)

	pad := int(text[len(text)-1])
	if pad < 1 || pad > padBlock || pad > len(text) {
		return nil, "", ErrKey
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return nil, "", ErrKey
		}
	}
	text = text[:len(text)-pad]
	if len(text) < headerLength {
		return nil, "", ErrKey
	}
	// Compare before adding, and in 64 bits: in 32 bits the sum of header and length can overflow.
	length := uint64(binary.BigEndian.Uint32(text[prefixLength:headerLength]))
	text = text[headerLength:]
	if length > uint64(len(text)) {
		return nil, "", ErrKey
	}
	return text[:length:length], string(text[length:]), nil
}
