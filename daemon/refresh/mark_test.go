package refresh

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
)

// TestFingerprintsTellNothingWithoutTheStore: a token is long, but a person that has one from
// elsewhere must not be able to look for it in a log.
func TestFingerprintsTellNothingWithoutTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		of := func(d *disk) (*rig, string) {
			t.Helper()
			r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
			r.mustGet(app)
			s, err := r.Status(app)
			if err != nil || s.Fingerprint == "" {
				t.Fatalf("fingerprint: %q, %v", s.Fingerprint, err)
			}
			return r, s.Fingerprint
		}
		d := newDisk()
		r, one := of(d)
		r.stop()
		_, again := of(d)
		if one != again {
			t.Errorf("of one value and one store: %s, then %s", one, again)
		}
		up.calls = 0 // the same value for another store
		if _, other := of(newDisk()); other == one {
			t.Error("the same in two stores")
		}
		for _, text := range []string{"tok-1", "value\x00tok-1"} {
			sum := sha256.Sum256([]byte(text))
			if strings.HasPrefix(hex.EncodeToString(sum[:]), one[:6]) {
				t.Error("it is a plain digest of the value")
			}
		}
		if !strings.Contains(r.log(), one) || strings.Contains(r.log(), "tok-1") {
			t.Error("the log has the value, or not its fingerprint")
		}
	})
}

func TestAMarkThatCannotBeReadIsReplacedForThisRunOnly(t *testing.T) {
	d := newDisk()
	if err := d.Put(t.Context(), record.Record{Table: record.Keys, Key: fingerprintKey, Value: []byte{99}}); err != nil {
		t.Fatal(err)
	}
	m, err := newFingerprinter(d)
	if err == nil || m == (fingerprinter{}) {
		t.Errorf("got error %v, and a mark of zeros: %v", err, m == (fingerprinter{}))
	}
	if r, _ := d.Get(record.Keys, fingerprintKey); len(r.Value) != 1 {
		t.Error("what a newer version has written was overwritten")
	}
}

// TestMarkOfAnEarlierVersion holds that a stored key keeps its fingerprints and the keys of codes
// over an upgrade.
func TestMarkOfAnEarlierVersion(t *testing.T) {
	d := newDisk()
	if err := d.Put(t.Context(), record.Key{Name: fingerprintKey, Bytes: bytes.Repeat([]byte{7}, 32)}.Encode()); err != nil {
		t.Fatal(err)
	}
	m, err := newFingerprinter(d)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.of("value"), "78eb3870ba09"; got != want {
		t.Errorf("fingerprint: got %s, want %s", got, want)
	}
	if got, want := m.code(platform, "code"), "92d90c7ef5d90438a12f1d5e2edff3d5"; got != want {
		t.Errorf("key of a code: got %s, want %s", got, want)
	}
}
