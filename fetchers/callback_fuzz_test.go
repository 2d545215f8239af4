package fetchers

import (
	"bytes"
	"crypto/aes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzOpenCallback opens messages of a stranger, of somebody who knows the signing token, and of
// somebody who also knows the key.
func FuzzOpenCallback(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.signature, v.timestamp, v.nonce, v.encrypt, layout(uint32(len(v.plain)), v.plain+v.receiver))
	}
	for _, length := range []uint32{0, 1, 1 << 31, 1<<32 - 1, 1<<32 - 20} {
		f.Add("", "1", "2", fullPad, layout(length, "x"+suiteID))
	}
	c := suiteCallback(f)
	f.Fuzz(func(t *testing.T, signature, timestamp, nonce, sent string, blocks []byte) {
		if _, _, err := c.Open(signature, timestamp, nonce, sent); err == nil && signature != c.sign(timestamp, nonce, sent) {
			t.Errorf("accepted the signature %q", signature)
		}
		opens(t, c, timestamp, nonce, sent)
		opens(t, c, timestamp, nonce, encrypt(c, blocks[:len(blocks)/aes.BlockSize*aes.BlockSize]))
		opens(t, c, timestamp, nonce, encrypt(c, padded(slices.Clip(blocks))))
	})
}

// opens opens sent with a correct signature and checks the result.
func opens(t *testing.T, c *Callback, timestamp, nonce, sent string) {
	t.Helper()
	plain, receiver, err := c.Open(c.sign(timestamp, nonce, sent), timestamp, nonce, sent)
	if err != nil {
		if plain != nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrReceiver) {
			t.Errorf("got %q, %v", plain, err)
		}
		return
	}
	if receiver != suiteID && receiver != providerID {
		t.Errorf("accepted a message for %q", receiver)
	}
	// The reverse operation: the message must be where its length says.
	raw, err := base64.StdEncoding.DecodeString(sent)
	if err != nil || len(raw) < headerLength+len(plain)+len(receiver)+1 {
		t.Fatalf("%d bytes contained a message of %d", len(raw), len(plain))
	}
	again := binary.BigEndian.AppendUint32(nil, uint32(len(plain)))
	again = append(append(again, plain...), receiver...)
	pad := len(raw) - prefixLength - len(again)
	if pad < 1 || pad > padBlock {
		t.Fatalf("%d bytes of padding", pad)
	}
	again = append(again, bytes.Repeat([]byte{byte(pad)}, pad)...)
	// The first block is arbitrary. Later blocks depend on it only by chaining.
	was := decrypted(t, c, raw)
	if !bytes.Equal(was[prefixLength:], again) {
		t.Errorf("the message has other bytes:\n got %x\nfrom %x", again, was[prefixLength:])
	}
}

// decrypted is a textbook CBC decryption.
func decrypted(t *testing.T, c *Callback, raw []byte) []byte {
	t.Helper()
	plain := make([]byte, len(raw))
	last := c.iv
	for i := 0; i < len(raw); i += aes.BlockSize {
		c.block.Decrypt(plain[i:], raw[i:])
		for k, b := range last {
			plain[i+k] ^= b
		}
		last = raw[i : i+aes.BlockSize]
	}
	return plain
}

func FuzzParseEnvelope(f *testing.F) {
	for _, v := range vectors() {
		f.Add([]byte("<xml><AppId>" + v.receiver + "</AppId><Encrypt><![CDATA[" + v.encrypt + "]]></Encrypt></xml>"))
	}
	f.Add([]byte(`<?xml version="1.0"?><xml><ToUserName>a</ToUserName><Encrypt>&#97;</Encrypt></xml>`))
	f.Add([]byte(`<!DOCTYPE xml [<!ENTITY x "y">]><xml><Encrypt>&x;</Encrypt></xml>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEnvelope(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || e != (Envelope{}) {
				t.Errorf("got %+v, %v", e, err)
			}
			return
		}
		for _, id := range []string{e.ToUserName, e.AppID} {
			if id != "" && !validID(id) {
				t.Errorf("accepted the ID %q", id)
			}
		}
		if e.Encrypt == "" || len(e.Encrypt) > len(body) || e.Encrypt != strings.TrimSpace(e.Encrypt) {
			t.Errorf("accepted the ciphertext %q", e.Encrypt)
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	for _, v := range vectors() {
		f.Add([]byte(v.plain))
	}
	for _, kind := range []string{EventAuthorized, EventUnauthorized, EventFastRegister, EventCreateAuth, EventCancelAuth, "other"} {
		f.Add([]byte("<xml><InfoType>" + kind + "</InfoType><AppId>wxc</AppId><SuiteId>wws</SuiteId>" +
			"<CreateTime>1700000000</CreateTime><TimeStamp>1700000000</TimeStamp><AuthorizerAppid>wxa</AuthorizerAppid>" +
			"<AuthorizationCode>c</AuthorizationCode><AuthorizationCodeExpiredTime>600</AuthorizationCodeExpiredTime>" +
			"<AuthCorpId>wwa</AuthCorpId><AuthCode>c</AuthCode><appid>wxm</appid><status>0</status><auth_code>c</auth_code></xml>"))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		e, err := ParseEvent(plain)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || e != (Event{}) {
				t.Errorf("got %s, %v", shown(e), err)
			}
			return
		}
		for _, id := range []string{e.Owner, e.Child} {
			if id != "" && !validID(id) {
				t.Errorf("accepted the ID %q", id)
			}
		}
		for _, v := range []string{string(e.Ticket), string(e.Code)} {
			if v != "" && wrongValue(v) != "" {
				t.Errorf("accepted the value %q", v)
			}
		}
		if len(e.Kind) > maxID || !utf8.ValidString(e.Kind) || strings.ContainsFunc(e.Kind, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
			t.Errorf("accepted the kind %q", e.Kind)
		}
		if e.Ticket != "" && e.Code != "" || e.Code == "" && !e.CodeExpires.IsZero() {
			t.Errorf("an event of two kinds: %s", shown(e))
		}
		for _, at := range []int{e.Time.UTC().Year(), e.CodeExpires.UTC().Year()} {
			if at > 10032 { // the year 9999 plus 1e9 seconds
				t.Errorf("accepted the year %d", at)
			}
		}
		if _, known := kindOf(e.Kind); known && e.Owner == "" {
			t.Errorf("an event without owner: %s", shown(e))
		}
	})
}
