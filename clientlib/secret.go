package clientlib

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Secret is a value that must not be printed by accident. Every formatting verb, log/slog and
// encoders print REDACTED, or "" if it is empty. Call [Secret.Reveal] in the request to WeChat, and
// nowhere else.
//
// This is also a trap. The following compiles, go vet accepts it, and the URL contains REDACTED:
//
//	fmt.Sprintf("https://api.weixin.qq.com/...?access_token=%s", token.Value) // wrong
//	fmt.Sprintf("https://api.weixin.qq.com/...?access_token=%s", token.Value.Reveal())
type Secret string

// Reveal returns the text of s.
func (s Secret) Reveal() string { return string(s) }

// String returns REDACTED, or "" for the empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "REDACTED"
}

// Format implements every verb of package fmt, including %x and %#v.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || f.Flag('#') {
		fmt.Fprintf(f, "%q", s.String())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Credential is a value that was valid when the daemon sent it.
type Credential struct {
	// Value is the token or ticket.
	Value Secret

	// TTL is the remaining lifetime when the daemon sent the value, rounded down to whole seconds;
	// at least one second.
	TTL time.Duration
}
