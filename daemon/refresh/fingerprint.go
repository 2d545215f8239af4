package refresh

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// fingerprinter makes fingerprints: texts that tell two values apart without showing either. They
// are keyed by random bytes of the store's own, so that one from a log can be checked against a
// value only where the store is.
type fingerprinter [32]byte

// fingerprintKey is the key's name among the store's own.
const fingerprintKey = "fingerprint"

// newFingerprinter returns the mark of store, and makes one if there is none. A mark that cannot be
// kept is good for this run; err then says why.
func newFingerprinter(store Store) (m fingerprinter, err error) {
	r, err := store.Get(record.Keys, fingerprintKey)
	if err == nil && r.Value != nil {
		var k record.Key
		if k, err = record.DecodeKey(r); err == nil && len(k.Bytes) == len(m) {
			return fingerprinter(k.Bytes), nil
		}
	}
	_, _ = rand.Read(m[:]) // never fails: see its documentation
	if err != nil {
		return m, err
	}
	return m, store.Put(context.Background(), record.Key{Name: fingerprintKey, Bytes: m[:]}.Encode())
}

func (m fingerprinter) sum(word string, parts ...string) []byte {
	h := hmac.New(sha256.New, m[:])
	h.Write([]byte(word))
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// of returns the fingerprint of value: 48 bits, the same for the same value as long as the
// store lives.
func (m fingerprinter) of(value secret.Text) string {
	return hex.EncodeToString(m.sum("value", string(value))[:6])
}

// code returns the key under which an authorization code is kept: it tells codes apart
// without showing them.
func (m fingerprinter) code(owner string, code secret.Text) string {
	return hex.EncodeToString(m.sum("code", owner, string(code))[:16])
}
