package fetchers

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// maxErrmsg bounds the bytes of outside text in an error.
const maxErrmsg = 300

// cut returns at most n bytes of s, without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// ridOf returns the ID that WeChat's support asks for: "rid: 5f0a...-..." on the Official Account
// side, or the text in WeCom's "hint: [...]".
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

// addressOf returns the caller's address named in msg: "invalid ip 192.0.2.1 ipv6 ...", "requestIP:
// 192.0.2.1", "from ip: 192.0.2.1".
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

// word returns the letters, digits and characters of more at the start of s, after spaces. It
// returns "" if there are more than 64, which no ID or address has.
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
