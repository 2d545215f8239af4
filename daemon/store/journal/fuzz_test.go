package journal

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"os"
	"testing"
)

// FuzzScan reads any bytes as a journal. It does not panic and accounts for every byte. The
// readable entries are readable again after they have been rewritten.
func FuzzScan(f *testing.F) {
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
	forms := map[bool]cipher.AEAD{true: newAEAD(f, 1), false: nil}
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		var first, second told
		var rewritten []byte
		again := framer{file: 1, aead: forms[sealed]}
		s, err := scan(bytes.NewReader(b), 0, int64(len(b)), 0, forms[sealed], func(e Entry) (err error) {
			rewritten, err = again.append(rewritten, e)
			return errors.Join(err, first.visit(e))
		})
		if err != nil || s.rep.Err != nil {
			t.Fatal(err, s.rep.Err)
		}
		written := max(int64(len(bytes.TrimRight(b, "\x00"))), s.good)
		if s.at != int64(len(b)) || s.good+s.rep.Torn != written {
			t.Errorf("of %d bytes, %d without trailing zeros, %d were read, up to %d with %d torn", len(b), written, s.at, s.good, s.rep.Torn)
		}
		reread, err := scan(bytes.NewReader(rewritten), 0, int64(len(rewritten)), 0, forms[sealed], second.visit)
		if err != nil || reread.rep.Skipped+reread.rep.Torn > 0 || reread.rep.Lost < s.rep.Lost {
			t.Errorf("rewritten: got %+v, %v", reread.rep, err)
		}
		wantEntries(t, second.String(), first.String())
	})
}

// FuzzRecords: parsed records are encoded to the bytes that were parsed, except for the form of
// lengths.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendRecords(nil, []Record{{[]byte("k"), []byte("v")}, {[]byte("d"), nil}, {[]byte("e"), []byte{}}}))
	f.Add([]byte{kindSet, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'k'})
	f.Fuzz(func(t *testing.T, b []byte) {
		recs, err := parseRecords(nil, b)
		if err != nil {
			return
		}
		again, err := parseRecords(nil, appendRecords(nil, recs))
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
