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

// padBlock is what pushes are padded to: 32 bytes, not the 16 of AES.
const padBlock = 32

// ErrAESKey is for an EncodingAESKey that is not 43 characters of base64.
var ErrAESKey = errors.New("wechattest: an EncodingAESKey has 43 characters of base64")

// aesKey decodes an EncodingAESKey. Its last character carries four bits; the two that are
// spare may be set, as they are in the vendor's own sample.
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

// Seal encrypts a push as both platforms do, and returns the text of its Encrypt, or of
// echostr: base64 of AES-256-CBC of random, the message's length in four bytes, the
// message, and the receiver's id. The error is [ErrAESKey].
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
		panic(err) // 32 bytes are a key
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// Signature signs a push: hex SHA-1 of the sorted texts one behind the other. A
// msg_signature is of token, timestamp, nonce and encrypt; the signature beside it, which a
// platform's pushes have too and which says nothing of the body, of the first three.
func Signature(token string, of ...string) string {
	texts := append([]string{token}, of...)
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	return hex.EncodeToString(sum[:])
}
