package fetchers

import (
	"errors"
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
	f.Fuzz(func(t *testing.T, status int, body []byte) {
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
