package fetchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

// FuzzDecodeAnswer reads any body as an answer to a call that carried secrets.
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
					t.Errorf("took the value %q", v)
				}
				continue
			}
			if tok != (Token{}) {
				t.Error("a token beside an error")
			}
			if text := err.Error(); strings.Contains(text, string(canarySecret)) || strings.Contains(text, string(canaryParent)) {
				t.Errorf("an error shows what was sent: %s", text)
			}
			if e, ok := errors.AsType[*APIError](err); ok {
				if e.Code == 0 || e.Reaction < Retry || e.Reaction > CodeRefused {
					t.Errorf("errcode %d, reaction %v", e.Code, e.Reaction)
				}
				if len(e.Msg) > maxErrmsg || !utf8.ValidString(e.Msg) || strings.ContainsFunc(e.Msg, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("errmsg %q", e.Msg)
				}
				if len(e.RID) > 64 || strings.ContainsAny(e.RID, " \n") {
					t.Errorf("rid %q", e.RID)
				}
			}
		}
	})
}

// checkObject holds that an object's members are what encoding/json finds in it.
func checkObject(t *testing.T, body []byte) {
	t.Helper()
	got, err := parseObject(body)
	var want map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimSpace(body), &want) != nil || want == nil {
		if err == nil {
			t.Fatalf("%q is taken for an object", body)
		}
		return
	}
	if err != nil {
		if err.Error() != "the answer says something twice" || len(want) == members(body) {
			t.Fatalf("%q: %v", body, err)
		}
		return
	}
	if !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("of %q\n got %q\nwant %q", body, got, want)
	}
	for key, raw := range got {
		var text string
		wrong := json.Unmarshal(raw, &text)
		if s, err := unquote(raw); raw[0] == '"' && (err != nil || wrong != nil || s != text) || raw[0] != '"' && err == nil {
			t.Fatalf("%q: got %q, %v; want %q, %v", key, s, err, text, wrong)
		}
	}
}

// members counts the members of an object as they come, twice what comes twice.
func members(body []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(body))
	_, _ = d.Token() // the brace
	for ; d.More(); n++ {
		_, _ = d.Token()
		_ = d.Decode(new(json.RawMessage)) // it is valid
	}
	return n
}
