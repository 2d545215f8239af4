package fetchers

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

func TestRID(t *testing.T) {
	tests := []struct{ in, want string }{
		{"invalid appid rid: 6553f100-0a1b2c3d-4e5f6071", "6553f100-0a1b2c3d-4e5f6071"},
		{"invalid appid rid:6553f100-0a1b2c3d-4e5f6071, more", "6553f100-0a1b2c3d-4e5f6071"},
		{"x hint: [1700000000_12_0a1b], from ip: 192.0.2.1", "1700000000_12_0a1b"},
		{"x hint: [1700000000123456789]", "1700000000123456789"},
		{"x hint: [Ab.c-D_1]", "Ab.c-D_1"},
		{"x hint: [two words]", ""},
		{"x hint: [unfinished", ""},
		{"x hint: [" + strings.Repeat("a", 65) + "]", ""},
		{"x rid: ", ""},
		{"ok", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := ridOf(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestAddress(t *testing.T) {
	tests := []struct{ in, want string }{
		{"invalid ip 192.0.2.1 ipv6 ::ffff:192.0.2.1, not in whitelist", "192.0.2.1"},
		{"invalid ip 2001:db8::1 ipv6 2001:db8::1, not in whitelist", "2001:db8::1"},
		{"not registered requestIP: 192.0.2.1 rid: 1-2-3", "192.0.2.1"},
		{"x, hint: [1], from ip: ::ffff:192.0.2.1, more info", "192.0.2.1"},
		{"invalid ip address, from ip: 192.0.2.1", "192.0.2.1"},
		{"from ip: 999.1.1.1", ""},
		{"from ip:", ""},
		{"192.0.2.1", ""},
	}
	for _, tt := range tests {
		if got := addressOf(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestErrmsgCleaned(t *testing.T) {
	q := call{own: canarySecret, with: []secret.Text{"abc"}}
	tests := []struct{ in, want string }{
		{"two\nlines\tand\x00more", "two lines and more"},
		{" 系统繁忙 ", "系统繁忙"},
		{"right\u202eleft", "right left"},
		{"was " + string(canarySecret), "was " + secret.Redacted},
		{"was canary%2FSecret%2B1%26%3C2%3E.", "was " + secret.Redacted + "."},
		{`was canary/Secret+1\u0026\u003c2\u003e.`, "was " + secret.Redacted + "."},
	}
	for _, tt := range tests {
		if got := q.scrubber().text(tt.in); got != tt.want {
			t.Errorf("%q:\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestSentValueIsPrefix(t *testing.T) {
	q := call{own: "prefix", with: []secret.Text{"prefix-and-more"}}
	if got := q.scrubber().text("a prefix-and-more b prefix"); strings.Contains(got, "more") || strings.Contains(got, "prefix") {
		t.Errorf("got %q", got)
	}
}

func TestLongErrmsg(t *testing.T) {
	q := call{own: canarySecret}
	// The secret spans the limit. Cutting first would leave its beginning.
	e := q.refusal(40013, strings.Repeat("中", 98)+string(canarySecret)+strings.Repeat("x", 500)).(*APIError)
	if n := len(e.Errmsg); n > maxErrmsg || n < maxErrmsg-utf8.UTFMax || !utf8.ValidString(e.Errmsg) || strings.Contains(e.Errmsg, "can") {
		t.Errorf("got %d bytes: %q", n, e.Errmsg)
	}
	if got := cut("a中", 3); got != "a" {
		t.Errorf("cut within a character: got %q", got)
	}
}
