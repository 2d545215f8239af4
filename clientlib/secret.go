package clientlib

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Secret is a value that must not be printed by accident. Every formatting verb,
// log/slog and encoders show REDACTED in its place, or "" for the empty one. Convert it with
// string(s) at the one place that needs it: the request to WeChat.
type Secret string

// String returns REDACTED, or "" for the empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "REDACTED"
}

// Format serves every verb of package fmt, %x and %#v among them.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || f.Flag('#') {
		fmt.Fprintf(f, "%q", s.String())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// LogValue serves log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText serves encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Credential is a value that was valid when the daemon sent it.
type Credential struct {
	// Value is the token or ticket.
	Value Secret

	// TTL is how long it was still valid then, in whole seconds rounded down;
	// at least one.
	TTL time.Duration
}
