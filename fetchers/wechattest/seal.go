package wechattest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// padBlock is the block size of the padding: 32 bytes, not AES's 16.
const padBlock = 32

// ErrAESKey is returned for an EncodingAESKey that is not 43 characters of base64.
var ErrAESKey = errors.New("wechattest: an EncodingAESKey has 43 characters of base64")

// aesKey decodes an EncodingAESKey. Its last character has four significant bits. The two unused
// ones may be set, as in the vendor's own sample.
func aesKey(encoded string) (key [32]byte, err error) {
	b, err := base64.StdEncoding.DecodeString(encoded + "=")
	if err != nil || len(b) != len(key) {
		return key, ErrAESKey
	}
	return [32]byte(b), nil
}

func mustKey(encoded string) [32]byte {
	key, err := aesKey(encoded)
	if err != nil {
		panic(err)
	}
	return key
}

// Seal encrypts a push as both platforms do, and returns its Encrypt or echostr. That is base64 of
// AES-256-CBC of random, the message's length in four bytes, the message, and the receiver's ID.
// The error is [ErrAESKey].
func Seal(encodingAESKey string, random [16]byte, msg []byte, receiver string) (encrypt string, err error) {
	key, err := aesKey(encodingAESKey)
	if err != nil {
		return "", err
	}
	return seal(key, random, msg, receiver), nil
}

func seal(key [32]byte, random [16]byte, msg []byte, receiver string) string {
	b := slices.Clone(random[:])
	b = binary.BigEndian.AppendUint32(b, uint32(len(msg)))
	b = append(b, msg...)
	b = append(b, receiver...)
	pad := padBlock - len(b)%padBlock
	b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)

	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // cannot fail for 32 bytes
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// Signature signs a push: the SHA-1, in hexadecimal, of the sorted and concatenated texts. A
// msg_signature covers token, timestamp, nonce and encrypt. The parameter signature in a platform's
// pushes covers the first three, and not the body.
func Signature(token string, of ...string) string {
	texts := append([]string{token}, of...)
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	return hex.EncodeToString(sum[:])
}
