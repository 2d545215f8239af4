package fetchers

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tokend/fetchers/secret"
)

// callbackKey is an EncodingAESKey.
type callbackKey struct {
	block cipher.Block
	iv    []byte // the first half of the key
}

func newCallbackKey(aesKey secret.Text) (callbackKey, error) {
	text := strings.TrimSpace(string(aesKey))
	if len(text) != aesKeyLength {
		return callbackKey{}, fmt.Errorf("the EncodingAESKey has %d characters, want %d", len(text), aesKeyLength)
	}
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 { // shorter if the 43 characters include line breaks
		return callbackKey{}, errors.New("the EncodingAESKey has invalid characters")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return callbackKey{}, err
	}
	return callbackKey{block, key[:aes.BlockSize]}, nil
}

// WithPrevious returns a copy of c that also accepts the token and the EncodingAESKey from before a
// change in WeChat's console. A message may be signed with either token and encrypted with either
// key. An empty one means none.
func (c *Callback) WithPrevious(token, aesKey secret.Text) (*Callback, error) {
	both := *c
	both.previousToken, both.previousKey = token, nil
	if aesKey != "" {
		key, err := newCallbackKey(aesKey)
		if err != nil {
			return nil, fmt.Errorf("the previous key: %w", err)
		}
		both.previousKey = &key
	}
	return &both, nil
}

// OpenEither is [Callback.Open]. It also reports whether only the token or the key of
// [Callback.WithPrevious] could open the message.
func (c *Callback) OpenEither(signature, timestamp, nonce, encrypt string) (plain []byte, receiver string, previous bool, err error) {
	if len(timestamp) > maxParameter || len(nonce) > maxParameter || len(encrypt) > maxEncrypt {
		return nil, "", false, fmt.Errorf("%w: a parameter is too long", ErrMalformed)
	}
	switch {
	case signed(c.token, signature, timestamp, nonce, encrypt):
	case c.previousToken != "" && signed(c.previousToken, signature, timestamp, nonce, encrypt):
		previous = true
	default:
		return nil, "", false, ErrSignature
	}
	plain, receiver, err = c.openWith(c.callbackKey, encrypt)
	if err == nil || c.previousKey == nil {
		return plain, receiver, previous, err
	}
	// A wrong key may produce valid padding by accident, but not a receiver.
	earlier, who, fault := c.openWith(*c.previousKey, encrypt)
	if fault == nil || who != "" {
		return earlier, who, true, fault
	}
	return nil, receiver, previous, err
}

// signed reports whether signature is the signature of a message by token.
func signed(token secret.Text, signature, timestamp, nonce, encrypt string) bool {
	want := signatureOf(token, timestamp, nonce, encrypt)
	return subtle.ConstantTimeCompare([]byte(signature), []byte(want)) == 1
}

// openWith decrypts a message after its signature was verified, and checks its receiver.
func (c *Callback) openWith(key callbackKey, encrypt string) (plain []byte, receiver string, err error) {
	plain, receiver, err = key.decrypt(encrypt)
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(c.receivers, receiver) {
		if !validID(receiver) {
			receiver = ""
		}
		return nil, receiver, ErrReceiver
	}
	return plain, receiver, nil
}
