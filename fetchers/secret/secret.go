// Package secret holds text that must not be printed by accident: app secrets,
// tokens, tickets and grants. It hides the text from every formatting verb,
// from log libraries and from encoders. It does not encrypt anything, and it
// does not wipe memory.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a non-empty [Text] shows instead of itself.
const Redacted = "REDACTED"

// Text is a secret. Convert it with string(t) at the one place that really
// needs the bytes: the request that is sent, the reply that is written. The zero
// value is "no secret" and prints as an empty string, so that a missing
// secret can be told from a hidden one.
type Text string

func (t Text) shown() string {
	if t == "" {
		return ""
	}
	return Redacted
}

// String returns [Redacted], or "" for the empty secret.
func (t Text) String() string { return t.shown() }

// GoString serves %#v.
func (t Text) GoString() string { return fmt.Sprintf("%q", t.shown()) }

// Format serves every verb there is, %x and %d among them, which would
// otherwise reach the bytes.
func (t Text) Format(f fmt.State, verb rune) {
	if verb == 'q' || f.Flag('#') {
		_, _ = io.WriteString(f, t.GoString())
		return
	}
	_, _ = io.WriteString(f, t.shown())
}

// LogValue serves log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown()) }

// MarshalText serves encoding/json and its like, hclog's JSON form among them.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown()), nil }
