package fetchers

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tokend/fetchers/secret"
)

// Vectors made with other implementations (Python, and Node for WeCom) for keys of this project.
const (
	componentToken = secret.Text("selfTok1")
	componentKey   = secret.Text("tokendSelfMadeKey0000000000000000000000001Z") // its unused bits are set
	componentID    = "wxaaaabbbbcccc0001"

	suiteToken = secret.Text("selfTok2")
	suiteKey   = secret.Text("ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0") // fake-suite-key-for-tokend-tests=
	suiteID    = "ww0000000000suite1"
	providerID = "wwprovidercorp01"
)

// vector is a pushed message and its content.
type vector struct {
	name                        string
	callback                    func(testing.TB) *Callback
	signature, timestamp, nonce string
	encrypt, plain, receiver    string
}

func vectors() []vector {
	return []vector{
		{"A: component_verify_ticket", componentCallback, "5fc667f87dbf251108c034283b8d74ba0cada0d3", "1700000000", "n-0001",
			"l1FkQe8DysPLUazd+vrPOOpTYuGeGURpnvCVqAVzLqHK2jnjmsC/LDoJulnXkGK0GIYVo6+l5+gOGbbqq96IqXgVcnwRKyNibwXcPni9ObDzjHwRqZls/XEb8P62Q7qjhhGAjIEzv53R1nvhOrsFLSlgM+gLAjE9FzLK4LKYNTv4Ehvwo3vMGBadx2FEfgkp3X/NjQ0Uv1Z6rsCHHUHzwjLAiBM1y8YodS4cTs7Pl3ru5RhkmtQwsJOiDlc1aiIU+cBjVTvLjLhz1SlNAyck1afKrDOsBm0ImAKekXhH6rbmMNSh1cUjLY20/oJmB3TdSdHx/rPKHTTc9lyGDeSmrh1g+ax9wgC6V6V+seUsB0xkADEBOdG2PLDF5omb/KnH",
			"<xml><AppId><![CDATA[wxaaaabbbbcccc0001]]></AppId><CreateTime>1700000000</CreateTime><InfoType><![CDATA[component_verify_ticket]]></InfoType><ComponentVerifyTicket><![CDATA[ticket@@@selfmade-0001]]></ComponentVerifyTicket></xml>",
			componentID},
		{"B: verification of a URL", suiteCallback, "8172def6266a63f2ded0f4006b29283bf4a94f26", "1700000100", "n-0002",
			"xZvSqKpq0h0d07UIGHnbozKXEyvof73KJz150hBBxBW0RMH7ac1AEEbgyu+YCXn966pguqeieYphjMEx2S+XLQ==",
			"4611686018427387905", providerID},
		{"C: suite_ticket", suiteCallback, "3fc65c70e70cad94cc7a237267f4349b597b0419", "1700000200", "n-0003",
			"d14mYgwDeenWvvJEHBm/xes7M+TaGwyyPExUC8r4twZ8HJXXpvrGI4Ia5xwsORzDa/4cB4aNbnVm3US80sRsStRaELG44zOM42EZigAfoPmqUKAFeF2ASGUgrTKbkPjj7IPR8n6mCX/WNwIaMUE680Qc1H90Osf1b5EhMfAGWP4x8Ui65KtksViaiv21tK6pHTgCI+n3ITW2pEaPIv1Mum4zgNbSbcOdMh5f5pWe3S93wM2bJRqWKcwIRQZrAk5WvFd83008xAe0sfcs9L7LWGNCe+USSdguS9ef1NoUjYoLv15vNO4XmZFSQwXK1TCvyl1VEM4FU26wvvrzcqgT8w==",
			"<xml><SuiteId><![CDATA[ww0000000000suite1]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType><TimeStamp>1700000200</TimeStamp><SuiteTicket><![CDATA[suiteticket-selfmade-0001]]></SuiteTicket></xml>",
			suiteID},
	}
}

// fullPad is vector D, which has no signature: a message that fills its blocks, so that a whole
// block of padding follows.
const fullPad = "d14mYgwDeenWvvJEHBm/xfHW7U8GHgsODc7kc8oJYygLNF4DR0y+a4YH9jW15AmHYucYxE+IJi29/SPq8Y8FNrnPhaQ3eZ9NfMQGDycMKp4W+eIt+e90/26HspstK/tW"

func mustCallback(t testing.TB, token, key secret.Text, receivers ...string) *Callback {
	t.Helper()
	c, err := NewCallback(token, key, receivers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func componentCallback(t testing.TB) *Callback {
	return mustCallback(t, componentToken, componentKey, componentID)
}

func suiteCallback(t testing.TB) *Callback {
	return mustCallback(t, suiteToken, suiteKey, suiteID, providerID)
}

// encrypt encrypts whole blocks as given, as a forger with the key could.
func encrypt(c *Callback, blocks []byte) string {
	text := bytes.Clone(blocks)
	cipher.NewCBCEncrypter(c.block, c.iv).CryptBlocks(text, text)
	return base64.StdEncoding.EncodeToString(text)
}

// layout is the content of a ciphertext: 16 bytes, a length, and the rest, padded.
func layout(length uint32, rest string) []byte {
	b := binary.BigEndian.AppendUint32([]byte("0123456789abcdef"), length)
	return padded(append(b, rest...))
}

func padded(b []byte) []byte {
	pad := padBlock - len(b)%padBlock
	return append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func TestOpenVectors(t *testing.T) {
	for _, v := range vectors() {
		plain, receiver, err := v.callback(t).Open(v.signature, v.timestamp, v.nonce, v.encrypt)
		if err != nil || string(plain) != v.plain || receiver != v.receiver {
			t.Errorf("%s: got %q for %q, %v", v.name, plain, receiver, err)
		}
	}
}

func TestFullBlockOfPadding(t *testing.T) {
	c := suiteCallback(t)
	plain, receiver, err := c.Open(c.sign("1", "2", fullPad), "1", "2", fullPad)
	if err != nil || string(plain) != strings.Repeat("x", 28) || receiver != providerID {
		t.Errorf("got %q for %q, %v", plain, receiver, err)
	}
}

func TestCheckParameters(t *testing.T) {
	right := strings.Repeat("0a", 20)
	for _, tt := range []struct {
		name, signature, timestamp, nonce string
		want                              error
	}{
		{"right", right, "1700000000", "1320562132", nil},
		{"a nonce of other characters", right, "1", "n-0001_.~!", nil},
		{"no signature", "", "1", "n", ErrSignature},
		{"a short signature", right[1:], "1", "n", ErrSignature},
		{"a long signature", right + "0", "1", "n", ErrSignature},
		{"a signature in capitals", strings.ToUpper(right), "1", "n", ErrSignature},
		{"a signature with an invalid character", right[:20] + "g" + right[21:], "1", "n", ErrSignature},
		{"no time", right, "", "n", ErrSignature},
		{"a time that is not a number", right, "17e8", "n", ErrMalformed},
		{"a negative time", right, "-1", "n", ErrMalformed},
		{"a long time", right, strings.Repeat("1", 129), "n", ErrMalformed},
		{"no nonce", right, "1", "", ErrSignature},
		{"a nonce with a space", right, "1", "a b", ErrMalformed},
		{"a nonce with a control character", right, "1", "a\x00b", ErrMalformed},
		{"a nonce that is not ASCII", right, "1", "随机", ErrMalformed},
		{"a long nonce", right, "1", strings.Repeat("n", 129), ErrMalformed},
	} {
		if err := CheckParameters(tt.signature, tt.timestamp, tt.nonce); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSignatureCoverage(t *testing.T) {
	// The plain signature beside msg_signature, which does not cover the message.
	const short = "e16755f439d849f77683aba293d81cacbc73891e"
	v := vectors()[0]
	tests := []struct{ name, signature, timestamp, nonce, encrypt string }{
		{"none", "", v.timestamp, v.nonce, v.encrypt},
		{"the signature that does not cover the message", short, v.timestamp, v.nonce, v.encrypt},
		{"cut", v.signature[:39], v.timestamp, v.nonce, v.encrypt},
		{"longer", v.signature + "0", v.timestamp, v.nonce, v.encrypt},
		{"one digit changed", "4" + v.signature[1:], v.timestamp, v.nonce, v.encrypt},
		{"in capitals", strings.ToUpper(v.signature), v.timestamp, v.nonce, v.encrypt},
		{"huge", strings.Repeat("5", 1<<20), v.timestamp, v.nonce, v.encrypt},
		{"another time", v.signature, "1700000001", v.nonce, v.encrypt},
		{"no time", v.signature, "", v.nonce, v.encrypt},
		{"another nonce", v.signature, v.timestamp, "n-0002", v.encrypt},
		{"another message", v.signature, v.timestamp, v.nonce, "L" + v.encrypt[1:]},
		{"no message", v.signature, v.timestamp, v.nonce, ""},
	}
	for _, tt := range tests {
		plain, receiver, err := v.callback(t).Open(tt.signature, tt.timestamp, tt.nonce, tt.encrypt)
		if !errors.Is(err, ErrSignature) || plain != nil || receiver != "" {
			t.Errorf("%s: got %q for %q, %v", tt.name, plain, receiver, err)
		}
	}
	_, _, err := suiteCallback(t).Open(v.signature, v.timestamp, v.nonce, v.encrypt)
	if !errors.Is(err, ErrSignature) {
		t.Errorf("by another owner's token: got %v", err)
	}
}

func TestReceivers(t *testing.T) {
	const message = "<xml/>"
	tests := []struct {
		receiver string // in the message
		allowed  []string
		good     bool
		shown    string
	}{
		{"wws", []string{"wws"}, true, "wws"},
		{"wwp", []string{"wws", "wwp"}, true, "wwp"},
		{"", []string{"wws", ""}, true, ""},
		{"", []string{"wws"}, false, ""},
		{"wwother", []string{"wws", "wwp"}, false, "wwother"},
		{"wws2", []string{"wws"}, false, "wws2"},
		{"ww", []string{"wws"}, false, "ww"},
		{"WWS", []string{"wws"}, false, "WWS"},
		{"wws\x00", []string{"wws"}, false, ""},
		{"new\nline", []string{"wws"}, false, ""},
		{"wwother", []string{""}, false, "wwother"},
	}
	for _, tt := range tests {
		c := mustCallback(t, suiteToken, suiteKey, tt.allowed...)
		e := encrypt(c, layout(uint32(len(message)), message+tt.receiver))
		plain, receiver, err := c.Open(c.sign("1", "2", e), "1", "2", e)
		if tt.good && (err != nil || string(plain) != message) || !tt.good && (!errors.Is(err, ErrReceiver) || plain != nil) {
			t.Errorf("%q of %q: got %q, %v", tt.receiver, tt.allowed, plain, err)
		}
		if receiver != tt.shown {
			t.Errorf("%q of %q: shows %q", tt.receiver, tt.allowed, receiver)
		}
	}
}

// Everybody who knows the token can sign, so the content is as untrusted as the envelope.
func TestHostileCiphertexts(t *testing.T) {
	c := suiteCallback(t)
	const rest = "message" + providerID
	// pad returns 32 bytes that end in n bytes of padding, overwritten by with.
	pad := func(n int, with ...byte) []byte {
		b := bytes.Repeat([]byte{'x'}, 32)
		copy(b[32-n:], bytes.Repeat([]byte{byte(n)}, n))
		copy(b[32-len(with):], with)
		return b
	}
	good := encrypt(c, layout(7, rest))
	inside := layout(7, rest)[:headerLength+len(rest)] // 43 bytes, 21 less than 64
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, encrypt string }{
		{"nothing", ""},
		{"not base64", "<>"},
		{"base64 without its padding", strings.TrimRight(good, "=") + "A"},
		{"base64 of nothing", "===="},
		{"half a block", base64.StdEncoding.EncodeToString(raw[:8])},
		{"a block and a half", base64.StdEncoding.EncodeToString(raw[:24])},
		{"truncated by a block", base64.StdEncoding.EncodeToString(raw[:len(raw)-16])},
		{"one byte more", base64.StdEncoding.EncodeToString(append(bytes.Clone(raw), 0))},
		{"padding 0 after valid data", encrypt(c, append(append(bytes.Clone(inside), bytes.Repeat([]byte{'x'}, 20)...), 0))},
		{"padding 53 after valid data", encrypt(c, append(bytes.Clone(inside), bytes.Repeat([]byte{53}, 53)...))},
		{"padding 255", encrypt(c, pad(0, 255))},
		{"padding longer than the text", encrypt(c, bytes.Repeat([]byte{17}, 16))},
		{"inconsistent padding", encrypt(c, append(append(bytes.Clone(inside), 20), bytes.Repeat([]byte{21}, 20)...))},
		{"padding and nothing else", encrypt(c, bytes.Repeat([]byte{32}, 32))},
		{"too short for a length", encrypt(c, pad(13))},
		{"length one too long", encrypt(c, layout(uint32(len(rest)+1), rest))},
		{"length 2^31", encrypt(c, layout(1<<31, rest))},
		{"length 2^32-1", encrypt(c, layout(1<<32-1, rest))},
		{"length 2^32-20, which overflows to 0", encrypt(c, layout(1<<32-20, rest))},
		{"length 2^32-13, which overflows into the message", encrypt(c, layout(1<<32-13, rest))},
	}
	for _, tt := range tests {
		plain, receiver, err := c.Open(c.sign("1", "2", tt.encrypt), "1", "2", tt.encrypt)
		if !errors.Is(err, ErrMalformed) || plain != nil || receiver != "" {
			t.Errorf("%s: got %q for %q, %v", tt.name, plain, receiver, err)
			continue
		}
		if want := "the message is malformed: decryption failed"; err.Error() != want {
			t.Errorf("%s: the text differs from the others: %s", tt.name, err)
		}
	}
	// The same helpers produce a valid message; otherwise the table would show nothing.
	if plain, _, err := c.Open(c.sign("1", "2", good), "1", "2", good); err != nil || string(plain) != "message" {
		t.Errorf("got %q, %v", plain, err)
	}
	whole := encrypt(c, layout(uint32(len(rest)), rest)) // a message without a receiver
	if _, _, err := c.Open(c.sign("1", "2", whole), "1", "2", whole); !errors.Is(err, ErrReceiver) {
		t.Errorf("no receiver: got %v", err)
	}
}

func TestLongParameters(t *testing.T) {
	c := suiteCallback(t)
	long := strings.Repeat("1", maxParameter+1)
	huge := strings.Repeat("A", maxEncrypt+4)
	for _, p := range [][3]string{{long, "2", fullPad}, {"1", long, fullPad}, {"1", "2", huge}} {
		_, _, err := c.Open(c.sign(p[0], p[1], p[2]), p[0], p[1], p[2])
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%d, %d and %d bytes: got %v", len(p[0]), len(p[1]), len(p[2]), err)
		}
	}
	longest := strings.Repeat("1", maxParameter)
	if _, _, err := c.Open(c.sign(longest, longest, fullPad), longest, longest, fullPad); err != nil {
		t.Errorf("the longest allowed: got %v", err)
	}
}

func TestNewCallback(t *testing.T) {
	const key = string(suiteKey)
	tests := []struct {
		name      string
		token     string
		key       string
		receivers []string
		want      string
	}{
		{"good", "t", key, []string{"a"}, ""},
		{"unused bits set", "t", string(componentKey), []string{"a"}, ""},
		{"spaces around the key", "t", " " + key + "\r\n", []string{"a"}, ""},
		{"the empty receiver", "t", key, []string{""}, ""},
		{"no token", "", key, []string{"a"}, "the callback token is empty"},
		{"a blank token", " ", key, []string{"a"}, "the callback token is empty"},
		{"no key", "t", "", []string{"a"}, "the EncodingAESKey has 0 characters, want 43"},
		{"a short key", "t", key[:42], []string{"a"}, "the EncodingAESKey has 42 characters, want 43"},
		{"a key with =", "t", key + "=", []string{"a"}, "the EncodingAESKey has 44 characters, want 43"},
		{"an invalid key", "t", "-" + key[1:], []string{"a"}, "the EncodingAESKey has invalid characters"},
		{"a key with a line break", "t", key[:20] + "\n" + key[21:], []string{"a"}, "the EncodingAESKey has invalid characters"},
		{"no receiver", "t", key, nil, "a callback needs a receiver"},
	}
	for _, tt := range tests {
		c, err := NewCallback(secret.Text(tt.token), secret.Text(tt.key), tt.receivers...)
		if got := fmt.Sprint(err); tt.want != "" && (got != tt.want || c != nil) || tt.want == "" && err != nil {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Both keys must match the results of the vectors' author, with and without the unused bits.
func TestKeys(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{string(componentKey), "b6891e9dd49e95f31a75e29ecb4d34d3"},
		{string(suiteKey), hex.EncodeToString([]byte("fake-suite-key-f"))},
		{string(componentKey[:42]) + "Y", "b6891e9dd49e95f31a75e29ecb4d34d3"}, // the same key without the unused bits
	} {
		c := mustCallback(t, "t", secret.Text(tt.key), "a")
		if got := hex.EncodeToString(c.iv); got != tt.want {
			t.Errorf("%s: the IV is %s, want %s", tt.key, got, tt.want)
		}
	}
}

func TestCallbackFormat(t *testing.T) {
	c := componentCallback(t)
	key := []byte("\xb6\x89\x1e\x9d")
	shown := fmt.Sprintf("%v %+v %#v %x %v %+v %#v %x", c, c, c, c, *c, *c, *c, *c)
	for _, s := range []string{string(componentToken), string(componentKey), "b6891e9d", string(key), "182 137 30", "0xb6, 0x89"} {
		if strings.Contains(shown, s) {
			t.Errorf("shows %s: %s", s, shown)
		}
	}
}
