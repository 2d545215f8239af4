package config

import (
	"encoding/hex"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"

	"tokend/fetchers/secret"
)

// ReadKey reads an encryption key that no configuration names yet, by the rules of encryption_key.
// how is "file", "env" or "credential"; where is the path or the name. Neither the warnings nor the
// error contain any part of the key.
func ReadKey(how, where string, env Env) (key secret.Text, warnings []Problem, err error) {
	r := &reader{file: how, env: env, pace: new(pace)}
	t := &table{reader: r, node: &node{kind: unstable.Table}}
	t.add(&node{kind: unstable.String, key: []byte(how), text: []byte(where)})
	raw, err := t.reference()
	if err == nil {
		key, err = parseKey(raw)
	}
	return key, r.warnings, err
}

// parseKey decodes a key: 32 bytes, or their 64 hex digits.
func parseKey(raw []byte) (secret.Text, error) {
	// The last of 32 random bytes may be a line break. Remove one only from longer input.
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
