package refresh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
)

// lookedAt counts who looks, and fails all at once if fails is set.
type lookedAt struct {
	*disk
	looks int
	fails bool
}

func (s *lookedAt) Get(table record.Table, key string) (record.Record, error) {
	s.looks++
	return s.disk.Get(table, key)
}

func (s *lookedAt) All(table record.Table) iter.Seq2[record.Record, error] {
	if !s.fails {
		return s.disk.All(table)
	}
	return func(yield func(record.Record, error) bool) {
		yield(record.Record{Table: table}, errors.New("closed"))
	}
}

// TestHoldFilter holds that a hold is found whenever it was written, and that where there
// is none nobody looks.
func TestHoldFilter(t *testing.T) {
	of := func(i int) record.Record {
		return record.Record{Table: record.Holds, Key: fmt.Sprintf("name-%d", i), Value: []byte{byte(i)}}
	}
	s := &lookedAt{disk: newDisk(), fails: true}
	for i := range 100 {
		if err := s.Put(t.Context(), of(i)); err != nil {
			t.Fatal(err)
		}
	}
	r := newHoldFilter(s)
	found := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			h, err := r.Get(record.Holds, of(i).Key)
			if err != nil {
				t.Fatal(err)
			}
			if h.Value != nil {
				n++
			}
		}
		return n
	}
	walk := func(some int) {
		for range r.All(record.Holds) {
			if some--; some == 0 {
				break
			}
		}
	}
	walk(0)
	if n := found(0, 100); n != 100 {
		t.Errorf("where all could not be read, %d of 100 holds are found", n)
	}
	s.fails = false
	walk(1)
	if n := found(0, 100); n != 100 {
		t.Errorf("where one has been read, %d of 100 holds are found", n)
	}
	walk(0)
	for i := 100; i < 200; i++ {
		if err := r.Put(t.Context(), of(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.looks = 0
	if n := found(0, 1000); n != 200 {
		t.Errorf("%d of 200 holds are found", n)
	}
	if s.looks < 200 || s.looks > 220 {
		t.Errorf("200 holds of 1000 names were looked for %d times", s.looks)
	}
	s.looks = 0
	if _, err := r.Get(record.Grants, "name-5"); err != nil || s.looks != 1 {
		t.Errorf("a grant was looked for %d times: %v", s.looks, err)
	}
}

// TestNameLocks locks several names from many goroutines, in any order and some of them twice: no
// two hold the same name at once, and nobody waits for ever.
func TestNameLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const names, takers, each = 6, 40, 50
		var locks nameLocks
		var holders [names]atomic.Int32
		var wg sync.WaitGroup
		for taker := range takers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(taker)))
				for range each {
					have := map[int]bool{}
					var want []string
					for range 1 + random.IntN(names) {
						n := random.IntN(names)
						have[n] = true
						want = append(want, fmt.Sprint("name", n))
					}
					end, err := locks.lock(t.Context(), want...)
					if err != nil {
						t.Error(err)
						return
					}
					for n := range have {
						if holders[n].Add(1) != 1 {
							t.Errorf("two have name%d", n)
						}
					}
					time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
					for n := range have {
						holders[n].Add(-1)
					}
					end()
				}
			})
		}
		wg.Wait()
		if len(locks.held) != 0 {
			t.Errorf("left: %v", locks.held)
		}
	})
}

// TestNameLockGivenUp holds that a caller that stops waiting holds no lock.
func TestNameLockGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks nameLocks
		end, err := locks.lock(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := locks.lock(ctx, "c", "b", "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		free, err := locks.lock(t.Context(), "a", "c", "a")
		if err != nil {
			t.Fatal(err)
		}
		free()
		end()
		if len(locks.held) != 0 {
			t.Errorf("left: %v", locks.held)
		}
	})
}

// TestFingerprintsNeedTheStore: a token is long, but a person that has one from
// elsewhere must not be able to look for it in a log.
func TestFingerprintsNeedTheStore(t *testing.T) {
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

func TestUnreadableFingerprintKey(t *testing.T) {
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

// TestFingerprintKeyOfEarlierVersion holds that a stored key keeps its fingerprints and the keys of
// codes over an upgrade.
func TestFingerprintKeyOfEarlierVersion(t *testing.T) {
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
