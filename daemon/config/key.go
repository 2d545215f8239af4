package config

import (
	"encoding/hex"
	"fmt"

	"tokend/fetchers/secret"
)

// ReadKey reads an encryption key from where no configuration names it yet, by the rules of
// encryption_key: how is "file", "env" or "credential", and where the path or the name. Warnings
// are as those of a [Config]. Neither they nor the error hold anything of the key.
func ReadKey(how, where string, env Env) (key secret.Text, warnings []Problem, err error) {
	r := &reader{file: how, env: env}
	t := &table{reader: r, values: map[string]any{how: where}}
	raw, err := t.reference()
	if err == nil {
		key, err = parseKey(raw)
	}
	return key, r.warnings, err
}

// parseKey returns the key that raw is: 32 bytes, or as many in hex.
func parseKey(raw []byte) (secret.Text, error) {
	// A line break may be the last of 32 random bytes: only what is too long loses it.
	if len(raw) == keyBytes {
		return secret.Text(raw), nil
	}
	s := withoutLineBreak(raw)
	if b, err := hex.DecodeString(s); err == nil && len(b) == keyBytes {
		return secret.Text(b), nil
	}
	if len(s) == keyBytes {
		return secret.Text(s), nil
	}
	return "", fmt.Errorf("must be %d bytes or %d hex digits; these are %d bytes (make one: openssl rand -hex %d)",
		keyBytes, 2*keyBytes, len(s), keyBytes)
}
