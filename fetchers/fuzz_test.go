package fetchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

// FuzzDecodeAnswer reads any body as an answer to a call with secrets.
func FuzzDecodeAnswer(f *testing.F) {
	for _, name := range goldenFiles(f) {
		body, err := os.ReadFile(filepath.Join(goldenDir, name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(200, body)
	}
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, `{ "a" : -1.5e3 , "b" : [ {"c":"]}"} , [] ] }`, `{"a":"\"}","b":"\\\\","c":true}`, `{"a\u0062":null,"中":"\ud800"}`,
		`{"a":1,"a":2}`, `{"a":{"b":{"c":[1,2,{"d":"{"}]}}}`, "{\n\"a\"\t:\r0\n}", `{"a":1}{}`, `{"a"`, `{"":""}`, "{\"\xff\":\"\xff\"}",
		"{\"a\x08\":1,\"b\":\"\n\",\"c\":{\"\t\":[\x00]}}", `{"a":"b"c","d":"\","e":"f"}`, `{"a":[{]}],"b":},"c":{"d"`, `{a:'b',"c":d e,,"f":}`, "\ufeff{}{",
	} {
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		checkObject(t, body)
		for _, q := range []call{
			{platform: weixin, path: "/cgi-bin/token", own: canarySecret, with: []secret.Text{canaryParent}, field: "access_token"},
			{platform: wecom, path: "/cgi-bin/ticket/get", own: canarySecret, with: []secret.Text{canaryParent}, child: true, field: "ticket"},
		} {
			tok, err := readAnswer(q, status, body, q.token)
			if err == nil {
				if status != 200 || tok.ExpiresIn <= 0 || tok.ExpiresIn > MaxLife || tok.ExpiresIn%1e9 != 0 {
					t.Errorf("status %d gives a life of %v", status, tok.ExpiresIn)
				}
				if v := string(tok.Value); v == "" || len(v) > maxValue || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
					t.Errorf("accepted the value %q", v)
				}
				checkValue(t, body, q.field, string(tok.Value))
				continue
			}
			if tok != (Token{}) {
				t.Error("a token with an error")
			}
			if text := err.Error(); strings.Contains(text, string(canarySecret)) || strings.Contains(text, string(canaryParent)) {
				t.Errorf("an error shows what was sent: %s", text)
			}
			if e, ok := errors.AsType[*APIError](err); ok {
				if e.Code == 0 || e.Reaction < Retry || e.Reaction > CodeRefused {
					t.Errorf("errcode %d, reaction %v", e.Code, e.Reaction)
				}
				for _, s := range []string{e.Msg, e.Errmsg} {
					if len(s) > maxErrmsg || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Errorf("errmsg %q", s)
					}
					if strings.Contains(s, string(canarySecret)) || strings.Contains(s, string(canaryParent)) {
						t.Errorf("an errmsg shows what was sent: %s", s)
					}
				}
				if len(e.RID) > 64 || strings.ContainsAny(e.RID, " \n") {
					t.Errorf("rid %q", e.RID)
				}
			}
		}
	})
}

// checkObject: the members of an object are among those that encoding/json finds. They are the same
// if the object is malformed only because of control characters.
func checkObject(t *testing.T, body []byte) {
	t.Helper()
	if !json.Valid(spaced(body)) || bytes.TrimSpace(spaced(body))[0] != '{' {
		return
	}
	got, err := parseObject(body)
	if err != nil || !got.whole {
		t.Fatalf("%q: %v, whole %v", body, err, got.whole)
	}
	rest := got.members
	d := json.NewDecoder(bytes.NewReader(spaced(body)))
	_, _ = d.Token() // the brace
	for d.More() {
		key, _ := d.Token()
		var value json.RawMessage
		_ = d.Decode(&value) // it is valid
		switch {
		case len(rest) > 0 && rest[0].key == key && string(spaced(rest[0].value)) == string(value):
			checkText(t, rest[0].value)
			rest = rest[1:]
		case json.Valid(body): // otherwise the key may have control characters
			t.Fatalf("of %q\n got %q\nwant %q: %q", body, got.members, key, value)
		}
	}
	if len(rest) > 0 {
		t.Fatalf("of %q\n got %q, which is not in it", body, rest)
	}
}

// spaced returns b with spaces instead of control characters.
func spaced(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return b
}

// checkText: a string is decoded as encoding/json does.
func checkText(t *testing.T, raw []byte) {
	t.Helper()
	var text string
	wrong := json.Unmarshal(raw, &text)
	if s, err := unquote(raw); string(raw) != "null" && ((err == nil) != (wrong == nil) || err == nil && s != text) {
		t.Fatalf("%q: got %q, %v; want %q, %v", raw, s, err, text, wrong)
	}
}

// checkValue: a credential from a well-formed answer is the value that encoding/json finds. From
// any other answer it is a part of the body.
func checkValue(t *testing.T, body []byte, field, got string) {
	t.Helper()
	var want map[string]json.RawMessage
	var text string
	switch {
	case json.Unmarshal(body, &want) != nil:
		if !bytes.Contains(body, []byte(got)) && !bytes.ContainsRune(body, '\\') {
			t.Errorf("of %q: got %q", body, got)
		}
	case json.Unmarshal(want[field], &text) == nil && text != "" && text != got:
		t.Errorf("of %q: got %q, want %q", body, got, text)
	}
}
