package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"tokend/daemon/memlock"
)

// KeySize is the length of a sealing key in bytes.
const KeySize = 32

// Formats of a stored value: its first byte. A numbered value contains its commit number, which
// shows whether the journal has a newer one.
const (
	formatClear          = 1 // value
	formatSealed         = 2 // nonce[12] ciphertext tag[16]
	formatNumberedClear  = 3 // commit[8] value
	formatNumberedSealed = 4 // commit[8] nonce[12] ciphertext tag[16]
)

// prefixSize is the length of format and number, the longest prefix of a value.
const prefixSize = 1 + 8

// Labels bind a derived key to its use and version.
const (
	recordsLabel = "tokend store 1 records"
	journalLabel = "tokend store 1 journal"
)

// sealer converts values to stored form and back. The zero value stores them in clear.
type sealer struct {
	aead    cipher.AEAD // of records
	journal cipher.AEAD // of the journal's entries
}

// newSealer returns the sealer of key. A nil key means in clear.
func newSealer(key []byte) (s sealer, err error) {
	if key == nil {
		return sealer{}, nil
	}
	if len(key) != KeySize {
		return sealer{}, faultf(ErrKey, "the encryption key has %d bytes, want %d", len(key), KeySize)
	}
	if s.aead, err = newAEAD(key, recordsLabel); err != nil {
		return sealer{}, err
	}
	s.journal, err = newAEAD(key, journalLabel)
	return s, err
}

// newAEAD returns AES-256-GCM with random nonces and a key derived from key for one use.
func newAEAD(key []byte, label string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, label, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	memlock.Object(aead)
	return aead, err
}

// seals reports whether s seals.
func (s sealer) seals() bool { return s.aead != nil }

// seal returns the stored form of value under key.
func (s sealer) seal(key, value []byte) []byte {
	return s.encode([]byte{formatClear, formatSealed}[s.form()], 0, key, value)
}

// sealNumbered is seal for a value with its commit number.
func (s sealer) sealNumbered(key, value []byte, number uint64) []byte {
	return s.encode([]byte{formatNumberedClear, formatNumberedSealed}[s.form()], number, key, value)
}

// form is 1 if s seals, else 0.
func (s sealer) form() int {
	if s.seals() {
		return 1
	}
	return 0
}

func (s sealer) encode(format byte, number uint64, key, value []byte) []byte {
	size := prefixSize + len(value)
	if s.seals() {
		size += s.aead.Overhead()
	}
	dst := append(make([]byte, 0, size), format)
	if format >= formatNumberedClear {
		dst = binary.BigEndian.AppendUint64(dst, number)
	}
	if !s.seals() {
		return append(dst, value...)
	}
	return s.aead.Seal(dst, nil, value, associated(dst, key))
}

// open appends the value stored under key to dst. A sealed store rejects values in clear. Otherwise
// anyone with write access to its files could insert values.
func (s sealer) open(dst, key, stored []byte) ([]byte, error) {
	prefix, body, sealed, ok := split(stored)
	switch {
	case !ok || sealed != s.seals():
		return dst, ErrSealed
	case !sealed:
		return append(dst, body...), nil
	}
	out, err := s.aead.Open(dst, nil, body, associated(prefix, key))
	if err != nil {
		return dst, ErrSealed
	}
	return out, nil
}

// split splits a stored value after format and number.
func split(stored []byte) (prefix, body []byte, sealed, ok bool) {
	if len(stored) == 0 {
		return nil, nil, false, false
	}
	n := 1
	switch stored[0] {
	case formatClear, formatSealed:
	case formatNumberedClear, formatNumberedSealed:
		n = prefixSize
	default:
		return nil, nil, false, false
	}
	if len(stored) < n {
		return nil, nil, false, false
	}
	return stored[:n], stored[n:], stored[0] == formatSealed || stored[0] == formatNumberedSealed, true
}

// numberOf returns the commit number of a stored value, or zero if it has none. The number is
// authentic only if the value opens.
func numberOf(stored []byte) uint64 {
	if len(stored) < prefixSize || stored[0] < formatNumberedClear {
		return 0
	}
	return binary.BigEndian.Uint64(stored[1:])
}

// associated returns the associated data of a sealed value: format, number if any, and key.
func associated(prefix, key []byte) []byte {
	return append(append(make([]byte, 0, len(prefix)+len(key)), prefix...), key...)
}
