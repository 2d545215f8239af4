package store

import (
	"bytes"
	"testing"
)

// TestNumberSealed changes the number of a sealed value. The number decides whether the journal has
// a newer value.
func TestNumberSealed(t *testing.T) {
	s, err := newSealer(key1)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("grant\x00a")
	stored := s.sealNumbered(key, []byte("value"), 7)
	if got, err := s.open(nil, key, stored); err != nil || string(got) != "value" || numberOf(stored) != 7 {
		t.Fatalf("got %q, number %d, %v", got, numberOf(stored), err)
	}
	for i := range prefixSize {
		changed := bytes.Clone(stored)
		changed[i] ^= 8
		if _, err := s.open(nil, key, changed); err == nil {
			t.Errorf("opened with byte %d of format and number changed", i)
		}
	}
}

// FuzzOpenSealed opens any bytes as a stored value. Only sealed values open, with their own key and
// number.
func FuzzOpenSealed(f *testing.F) {
	s, err := newSealer(key1)
	if err != nil {
		f.Fatal(err)
	}
	name := []byte("grant\x00a")
	for _, stored := range [][]byte{s.seal(name, []byte("value")), s.sealNumbered(name, []byte("value"), 7)} {
		f.Add(name, stored)
		f.Add([]byte("grant\x00b"), stored)
		f.Add(name, stored[:len(stored)-1])
	}
	f.Add(name, sealer{}.sealNumbered(name, []byte("planted"), 9))
	f.Fuzz(func(t *testing.T, key, stored []byte) {
		got, err := s.open(nil, key, stored)
		if err != nil {
			return
		}
		// Nonces are random, so the same value has many sealed forms.
		number := numberOf(stored)
		if !bytes.Equal(key, name) || string(got) != "value" || number != 0 && number != 7 {
			t.Errorf("%q opened under %q as %q, number %d", stored, key, got, number)
		}
	})
}
