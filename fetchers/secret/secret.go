// Package secret defines text that must not be printed by accident: app secrets, tokens, tickets
// and grants. The text is hidden from every formatting verb, from log libraries and from encoders.
// The package does not encrypt and does not wipe memory.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is printed instead of a non-empty [Text].
const Redacted = "REDACTED"

// Text is a secret. Convert it with string(t) only where the bytes are needed: in the request that
// is sent or the reply that is written. The zero value means "no secret" and prints as an empty
// string, so that a missing secret differs from a hidden one.
type Text string

func (t Text) shown() string {
	if t == "" {
		return ""
	}
	return Redacted
}

// String returns [Redacted], or "" for the empty secret.
func (t Text) String() string { return t.shown() }

// GoString implements %#v.
func (t Text) GoString() string { return fmt.Sprintf("%q", t.shown()) }

// Format implements every verb, including %x and %d, which would otherwise print the bytes.
func (t Text) Format(f fmt.State, verb rune) {
	if verb == 'q' || f.Flag('#') {
		_, _ = io.WriteString(f, t.GoString())
		return
	}
	_, _ = io.WriteString(f, t.shown())
}

// LogValue implements log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown()) }

// MarshalText is used by encoding/json and similar encoders, including hclog's JSON format.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown()), nil }
