package journal

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen reads any bytes as a journal: it neither panics nor changes what it cannot
// read, and what it makes of them can be appended to, compacted and read again.
func FuzzOpen(f *testing.F) {
	for _, aead := range []cipher.AEAD{nil, newAEAD(f, 1)} {
		path, at := filled(f, aead, 3)
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, aead != nil)
		f.Add(b[at[1]:], aead != nil)
		f.Add(b[:at[3]+20], aead != nil)
		flipped := bytes.Clone(b)
		flipped[at[2]+5] ^= 4
		f.Add(flipped, aead != nil)
	}
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		var aead cipher.AEAD
		if sealed {
			aead = newAEAD(t, 1)
		}
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var first told
		j, rep, err := Open(path, aead, first.visit)
		if errors.Is(err, ErrKey) {
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, b) {
				t.Errorf("a journal of another key was touched (%v)", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if rep.Damaged() {
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, b) {
				t.Errorf("a damaged journal was touched (%v)", err)
			}
		}
		if j.Failed() != nil {
			if err := j.Compact(everything, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Append(set(rep.Last, "fuzz", "1")); err != nil {
			t.Fatal(err)
		}
		var second told
		_, rep, err = Open(path, aead, second.visit)
		if err != nil || rep.Damaged() || rep.Torn > 0 || rep.Entries == 0 {
			t.Errorf("after it was mended: got %+v, %v", rep, err)
		}
		if len(second) == 0 {
			t.Error("the entry that was appended is not there")
		}
	})
}

// FuzzRecords: what is parsed is what was meant, and is written again as it was read
// but for the lengths' form.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendRecords(nil, []Record{{[]byte("k"), []byte("v")}, {[]byte("d"), nil}, {[]byte("e"), []byte{}}}))
	f.Add([]byte{kindSet, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'k'})
	f.Fuzz(func(t *testing.T, b []byte) {
		recs, err := parseRecords(b)
		if err != nil {
			return
		}
		again, err := parseRecords(appendRecords(nil, recs))
		if err != nil || len(again) != len(recs) {
			t.Fatalf("got %d records, %v; want %d", len(again), err, len(recs))
		}
		for i := range recs {
			if !bytes.Equal(recs[i].Key, again[i].Key) || !bytes.Equal(recs[i].Value, again[i].Value) || (recs[i].Value == nil) != (again[i].Value == nil) {
				t.Errorf("record %d: got %+v, want %+v", i, again[i], recs[i])
			}
		}
	})
}
