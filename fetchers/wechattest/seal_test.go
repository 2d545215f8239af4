package wechattest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

// open reverses seal.
func open(t *testing.T, encodedKey, encrypt string) (msg, receiver string) {
	t.Helper()
	key := mustKey(encodedKey)
	b, err := base64.StdEncoding.DecodeString(encrypt)
	if err != nil || len(b)%padBlock != 0 || len(b) == 0 {
		t.Fatalf("%d bytes are no cipher: %v", len(b), err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > padBlock {
		t.Fatalf("pad of %d", pad)
	}
	b = b[16 : len(b)-pad]
	n := int(binary.BigEndian.Uint32(b))
	return string(b[4 : 4+n]), string(b[4+n:])
}

const (
	vectorTicket = `<xml><AppId><![CDATA[wxaaaabbbbcccc0001]]></AppId><CreateTime>1700000000</CreateTime><InfoType><![CDATA[component_verify_ticket]]></InfoType><ComponentVerifyTicket><![CDATA[ticket@@@selfmade-0001]]></ComponentVerifyTicket></xml>`
	vectorSuite  = `<xml><SuiteId><![CDATA[ww0000000000suite1]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType><TimeStamp>1700000200</TimeStamp><SuiteTicket><![CDATA[suiteticket-selfmade-0001]]></SuiteTicket></xml>`
)

// The vectors were made with other programs.
var vectors = []struct {
	name, key, random, msg, receiver string
	encrypt                          string

	token, timestamp, nonce, signature string // token is empty if there is no signature
}{
	{"a platform's ticket", testKeyA, "0123456789abcdef", vectorTicket, "wxaaaabbbbcccc0001",
		"l1FkQe8DysPLUazd+vrPOOpTYuGeGURpnvCVqAVzLqHK2jnjmsC/LDoJulnXkGK0GIYVo6+l5+gOGbbqq96IqXgVcnwRKyNibwXcPni9ObDzjHwRqZls/XEb8P62Q7qjhhGAjIEzv53R1nvhOrsFLSlgM+gLAjE9FzLK4LKYNTv4Ehvwo3vMGBadx2FEfgkp3X/NjQ0Uv1Z6rsCHHUHzwjLAiBM1y8YodS4cTs7Pl3ru5RhkmtQwsJOiDlc1aiIU+cBjVTvLjLhz1SlNAyck1afKrDOsBm0ImAKekXhH6rbmMNSh1cUjLY20/oJmB3TdSdHx/rPKHTTc9lyGDeSmrh1g+ax9wgC6V6V+seUsB0xkADEBOdG2PLDF5omb/KnH",
		"selfTok1", "1700000000", "n-0001", "5fc667f87dbf251108c034283b8d74ba0cada0d3"},
	{"a GET's echo", testKeyB, "ABCDEFGHIJKLMNOP", "4611686018427387905", "wwprovidercorp01",
		"xZvSqKpq0h0d07UIGHnbozKXEyvof73KJz150hBBxBW0RMH7ac1AEEbgyu+YCXn966pguqeieYphjMEx2S+XLQ==",
		"selfTok2", "1700000100", "n-0002", "8172def6266a63f2ded0f4006b29283bf4a94f26"},
	{"a suite's ticket", testKeyB, "fedcba9876543210", vectorSuite, "ww0000000000suite1",
		"d14mYgwDeenWvvJEHBm/xes7M+TaGwyyPExUC8r4twZ8HJXXpvrGI4Ia5xwsORzDa/4cB4aNbnVm3US80sRsStRaELG44zOM42EZigAfoPmqUKAFeF2ASGUgrTKbkPjj7IPR8n6mCX/WNwIaMUE680Qc1H90Osf1b5EhMfAGWP4x8Ui65KtksViaiv21tK6pHTgCI+n3ITW2pEaPIv1Mum4zgNbSbcOdMh5f5pWe3S93wM2bJRqWKcwIRQZrAk5WvFd83008xAe0sfcs9L7LWGNCe+USSdguS9ef1NoUjYoLv15vNO4XmZFSQwXK1TCvyl1VEM4FU26wvvrzcqgT8w==",
		"selfTok2", "1700000200", "n-0003", "3fc65c70e70cad94cc7a237267f4349b597b0419"},
	{"a whole block of padding", testKeyB, "fedcba9876543210", strings.Repeat("x", 28), "wwprovidercorp01",
		"d14mYgwDeenWvvJEHBm/xfHW7U8GHgsODc7kc8oJYygLNF4DR0y+a4YH9jW15AmHYucYxE+IJi29/SPq8Y8FNrnPhaQ3eZ9NfMQGDycMKp4W+eIt+e90/26HspstK/tW",
		"", "", "", ""},
}

func TestSeal(t *testing.T) {
	for _, tt := range vectors {
		got, err := Seal(tt.key, [16]byte([]byte(tt.random)), []byte(tt.msg), tt.receiver)
		if err != nil || got != tt.encrypt {
			t.Errorf("%s:\n got %s, %v\nwant %s", tt.name, got, err, tt.encrypt)
		}
		if tt.token == "" {
			continue
		}
		if got := Signature(tt.token, tt.timestamp, tt.nonce, tt.encrypt); got != tt.signature {
			t.Errorf("%s: msg_signature:\n got %s\nwant %s", tt.name, got, tt.signature)
		}
	}
	if got, want := Signature("selfTok1", "1700000000", "n-0001"), "e16755f439d849f77683aba293d81cacbc73891e"; got != want {
		t.Errorf("signature:\n got %s\nwant %s", got, want)
	}
}

func TestMessageVectors(t *testing.T) {
	ticket := Event{Kind: "component_verify_ticket", Ticket: "ticket@@@selfmade-0001"}
	got := string(xmlText(platformMessage("wxaaaabbbbcccc0001", ticket, time.Unix(1700000000, 0), "", 0), Quirks{}))
	if got != vectorTicket {
		t.Errorf("\n got %s\nwant %s", got, vectorTicket)
	}
	suite := Event{Kind: "suite_ticket", Ticket: "suiteticket-selfmade-0001"}
	got = string(xmlText(suiteMessage("ww0000000000suite1", suite, time.Unix(1700000200, 0)), Quirks{blankKind: true}))
	if got != vectorSuite {
		t.Errorf("\n got %s\nwant %s", got, vectorSuite)
	}
}

func TestAESKey(t *testing.T) {
	for _, bad := range []string{"", "short", testKeyA + "A", testKeyA[1:], strings.Repeat("!", 43), testKeyA[:42] + "="} {
		if _, err := Seal(bad, [16]byte{}, nil, ""); !errors.Is(err, ErrAESKey) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	defer func() {
		if recover() != ErrAESKey {
			t.Error("AddPlatform took a wrong key")
		}
	}()
	New(Settings{}).AddPlatform("wx1", "s", "t", "short")
}
