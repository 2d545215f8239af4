package fetchers

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokend/fetchers/secret"
)

// Escapes that a text may get on its way, and some more.
var escapes = map[string]func(string) string{
	"query":            url.QueryEscape,
	"path":             url.PathEscape,
	"query, lower":     func(s string) string { return lowerEscapes(url.QueryEscape(s)) },
	"every byte, URL":  func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% x", " "+s)[2:], " ", "%") },
	"JSON":             func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
	"JSON with solidi": func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
	"Go":               func(s string) string { q := strconv.Quote(s); return q[1 : len(q)-1] },
	"HTML":             html.EscapeString,
	"HTML of PHP":      func(s string) string { return strings.ReplaceAll(html.EscapeString(s), "&#34;", "&quot;") },
	"HTML, hex": func(s string) string {
		return strings.NewReplacer("&", "&#x26;", "<", "&#x3C;", "/", "&#X2f;").Replace(s)
	},
	"JavaScript": func(s string) string { return strings.NewReplacer("&", `\x26`, "<", `\u003C`).Replace(s) },
}

func lowerEscapes(s string) string {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' {
			s = s[:i] + strings.ToLower(s[i:i+3]) + s[i+3:]
		}
	}
	return s
}

func TestEchoedSecrets(t *testing.T) {
	for _, sent := range []secret.Text{canarySecret, canaryParent, canaryGrant, `%25&amp;\u0041"0123456789`, "0123456789abcdef", "a/b"} {
		q := call{own: sent}
		scrub := q.scrubber()
		for outer, escape := range escapes {
			for inner, first := range escapes {
				echo := escape(first(string(sent)))
				if got := scrub.text("it was " + echo + "."); got != "it was "+secret.Redacted+"." {
					t.Errorf("%s of %s: %s:\n got %s", outer, inner, echo, got)
				}
			}
		}
	}
}

func TestEchoedParts(t *testing.T) {
	const sent = "0123456789/abcdefghijklmnopqrstuvwxyz+ABCDEFGHIJ"
	q := call{with: []secret.Text{sent}}
	for _, escape := range escapes {
		for from := range len(sent) {
			for to := from + minEcho; to <= len(sent); to++ {
				if got := q.scrubber().text("secret=" + escape(sent[from:to]) + "..."); got != "secret="+secret.Redacted+"..." {
					t.Fatalf("%s:\n got %s", escape(sent[from:to]), got)
				}
			}
		}
	}
	for _, short := range []string{sent[:minEcho-1], sent[20 : 20+minEcho-1]} {
		if got := q.scrubber().text("a " + short); got != "a "+short {
			t.Errorf("%s:\n got %s", short, got)
		}
	}
	for _, folded := range []string{strings.ToUpper(sent), strings.ToLower(sent)} {
		if got := q.scrubber().text("a " + folded); got != "a "+secret.Redacted {
			t.Errorf("%s:\n got %s", folded, got)
		}
	}
	for _, blank := range []string{" ", "%20", "%0a", "%250A", "&#32;", "&#xa;", "&nbsp;", "&amp;nbsp;", `\n`, `\\r\\n`, `\t`, `\u000a`, `\x0a`} {
		parted := sent[:minEcho/2] + blank + sent[minEcho/2:minEcho]
		if got := q.scrubber().text("a " + parted + " ;"); got != "a "+secret.Redacted+" ;" {
			t.Errorf("parted by %s:\n got %s", blank, got)
		}
	}
	wrapped := sent[:10] + "\n" + sent[10:20] + "\x00\u200b" + sent[20:]
	if got := q.scrubber().text("a " + wrapped + " b"); got != "a "+secret.Redacted+" b" {
		t.Errorf("parted:\n got %s", got)
	}
}

func TestOtherTextUnchanged(t *testing.T) {
	q := call{own: canarySecret, with: []secret.Text{canaryParent}}
	for _, text := range []string{
		"", "invalid appsecret rid: 6553f100-0a1b2c3d-4e5f6071", "100 % of 10 %zz &c. &nbsp; \\q \\u00", "系统繁忙 %E7%B3", "&#x110000; &#0;", `\`, "%", "&",
	} {
		if got := q.scrubber().text(text); got != text {
			t.Errorf("\n got %s\nwant %s", got, text)
		}
	}
}

func TestScrubLinear(t *testing.T) {
	long := secret.Text(strings.Repeat("ab%25", maxValue/5))
	q := call{own: long, with: []secret.Text{long[1:], long[2:]}}
	for _, part := range []string{"a", "%", "%25", "%2525", "&", "&amp;", "&amp", `\`, `\u0025`, "ab%25", "\x00", "中"} {
		start := time.Now()
		q.scrubber().text(strings.Repeat(part, maxBody/len(part)))
		if took := time.Since(start); took > 10*time.Second { // of 0.1 s; quadratic time is minutes
			t.Errorf("%s: took %v", part, took)
		}
	}
}
