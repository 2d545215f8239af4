package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// KeySize is the length of a sealing key in bytes.
const KeySize = 32

// Formats of a stored value: its first byte.
const (
	formatClear  = 1
	formatSealed = 2
)

// sealer turns values into what is stored and back. The zero value keeps them in
// clear.
type sealer struct{ aead cipher.AEAD }

// newSealer returns the sealer of key; of the clear form where key is nil.
func newSealer(key []byte) (sealer, error) {
	if key == nil {
		return sealer{}, nil
	}
	if len(key) != KeySize {
		return sealer{}, faultf(ErrKey, "the encryption key has %d bytes, want %d", len(key), KeySize)
	}
	// The label ties the derived key to this use and version.
	derived, err := hkdf.Key(sha256.New, key, nil, "tokend store 1 records", KeySize)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seals reports whether s seals.
func (s sealer) seals() bool { return s.aead != nil }

// seal returns the stored form of value under key.
func (s sealer) seal(key, value []byte) []byte {
	if s.aead == nil {
		return append(append(make([]byte, 0, 1+len(value)), formatClear), value...)
	}
	dst := append(make([]byte, 0, 1+len(value)+s.aead.Overhead()), formatSealed)
	return s.aead.Seal(dst, nil, value, associated(key))
}

// open appends the value that was stored under key to dst. A store that seals
// takes nothing in clear: else whoever can write its files could plant values.
func (s sealer) open(dst, key, stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return dst, ErrSealed
	case s.aead == nil && stored[0] == formatClear:
		return append(dst, stored[1:]...), nil
	case s.aead != nil && stored[0] == formatSealed:
		out, err := s.aead.Open(dst, nil, stored[1:], associated(key))
		if err != nil {
			return dst, ErrSealed
		}
		return out, nil
	}
	return dst, ErrSealed
}

// associated is what a sealed value is bound to.
func associated(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), formatSealed), key...)
}
