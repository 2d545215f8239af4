package fetchers

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

// maxErrmsg bounds, in bytes, any text of an error that came from outside.
const maxErrmsg = 300

// scrubber takes what a call has sent out of texts that came back: a gateway's
// error page, a broken status line and an errmsg may all repeat the request.
type scrubber struct{ sent []string }

func (q *call) scrubber() scrubber {
	var s scrubber
	for _, t := range append([]secret.Text{q.own}, q.with...) {
		if t == "" {
			continue
		}
		raw := string(t)
		forms := []string{raw, url.QueryEscape(raw), url.PathEscape(raw)}
		if body, err := json.Marshal(raw); err == nil {
			forms = append(forms, string(body[1:len(body)-1]))
		}
		for _, f := range forms {
			quoted := strconv.Quote(f) // net/http quotes what it cannot parse
			s.sent = append(s.sent, f, quoted[1:len(quoted)-1])
		}
	}
	// The longest first: of two values of which one begins the other, the
	// shorter would leave the rest of the longer behind.
	slices.SortFunc(s.sent, func(a, b string) int { return len(b) - len(a) })
	s.sent = slices.Compact(s.sent)
	return s
}

// text returns t on one line, printable, and without anything that was sent.
// Characters are replaced before values are looked for, so that nothing
// unprintable can part a value and leave it readable.
func (s scrubber) text(t string) string {
	t = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, t))
	for _, v := range s.sent {
		t = strings.ReplaceAll(t, v, secret.Redacted)
	}
	return t
}

// error returns an error that has of err's text what is fit to be shown, and
// nothing of err itself: whatever it wraps could be printed by someone who
// unwraps it.
func (s scrubber) error(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok { // of a Transport that wraps an http.Client
		err = ue.Err
	}
	return errors.New(cut(s.text(err.Error()), maxErrmsg))
}

// cut returns at most n bytes of s, ending with a whole character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// ridOf returns what WeChat's support asks for: "rid: 5f0a...-..." of the Official
// Account side, else the text in "hint: [...]", WeCom's.
func ridOf(msg string) string {
	if _, rest, ok := strings.Cut(msg, "rid:"); ok {
		if id := word(rest, "-"); id != "" {
			return id
		}
	}
	_, rest, _ := strings.Cut(msg, "hint:")
	hint, _, ok := strings.Cut(strings.TrimLeft(rest, " ["), "]")
	if !ok || hint != word(hint, "._-") {
		return ""
	}
	return hint
}

// addressOf returns the caller's address as msg names it: "invalid ip 192.0.2.1
// ipv6 ...", "requestIP: 192.0.2.1", "from ip: 192.0.2.1".
func addressOf(msg string) string {
	for _, before := range []string{"invalid ip", "requestIP:", "from ip:"} {
		_, rest, ok := strings.Cut(msg, before)
		if !ok {
			continue
		}
		if a, err := netip.ParseAddr(word(rest, ".:")); err == nil {
			return a.Unmap().String()
		}
	}
	return ""
}

// word returns the letters, digits and characters of more at the beginning of s,
// after spaces; or "" where they are more than 64, which no id and no address has.
func word(s, more string) string {
	s = strings.TrimLeft(s, " ")
	end := strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(more, r)
	})
	if end < 0 {
		end = len(s)
	}
	if end > 64 {
		return ""
	}
	return s[:end]
}
