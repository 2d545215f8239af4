package refresh

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// holdFilter is a store that knows without looking that it has no hold of a name. Hardly any
// credential has one, and a new grant of a customer deletes those of all that depends on it. It has
// one bit for each of filterBits hashes of names. A bit is set when a hold is read or written, and
// never cleared. So some look-ups find nothing, and no hold is missed.
type holdFilter struct {
	Store
	seed  maphash.Seed
	held  [filterBits / 64]atomic.Uint64
	known atomic.Bool // held has all that were there before this run
}

// filterBits take 8 KiB. With a thousand holds, one name in 65 is looked for in vain.
const filterBits = 1 << 16

// newHoldFilter returns a filter of s, which looks for every name until All has yielded all holds.
func newHoldFilter(s Store) *holdFilter { return &holdFilter{Store: s, seed: maphash.MakeSeed()} }

// bit returns where the bit of a name is, and the bit.
func (r *holdFilter) bit(name string) (word *atomic.Uint64, bit uint64) {
	h := maphash.String(r.seed, name) % filterBits
	return &r.held[h/64], 1 << (h % 64)
}

func (r *holdFilter) note(name string) {
	word, bit := r.bit(name)
	word.Or(bit)
}

// Put notes which holds there may be from now on.
func (r *holdFilter) Put(ctx context.Context, recs ...record.Record) error {
	for i := range recs {
		if recs[i].Table == record.Holds && recs[i].Value != nil {
			r.note(recs[i].Key)
		}
	}
	return r.Store.Put(ctx, recs...)
}

// Get looks for a hold only where there may be one.
func (r *holdFilter) Get(table record.Table, key string) (record.Record, error) {
	if table == record.Holds && r.known.Load() {
		if word, bit := r.bit(key); word.Load()&bit == 0 {
			return record.Record{Table: table, Key: key}, nil
		}
	}
	return r.Store.Get(table, key)
}

// All notes which holds there are.
func (r *holdFilter) All(table record.Table) iter.Seq2[record.Record, error] {
	all := r.Store.All(table)
	if table != record.Holds {
		return all
	}
	return func(yield func(record.Record, error) bool) {
		whole := true
		for h, err := range all {
			r.note(h.Key)
			whole = whole && h.Key != "" // which stands for an error of the whole
			if !yield(h, err) {
				return
			}
		}
		if whole {
			r.known.Store(true)
		}
	}
}

// nameLocks is one lock for each name. Who holds it changes what is stored under the name, on disk
// and in memory, so that both change in the same order. A lock may be held while the disk is
// written. The zero value is ready.
type nameLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed on unlock; nil if nobody waits
}

// lock locks all names and returns what unlocks them, or ctx's error. A caller that needs several
// locks takes them in one call, never one while it holds another. A name may be in names twice. The
// caller does not change names before it unlocks them.
func (t *nameLocks) lock(ctx context.Context, names ...string) (unlock func(), err error) {
	if t.tryLock(names) {
		return func() { t.unlock(names) }, nil
	}
	// All callers that hold some and wait for others lock in the same order, so that no two wait
	// for each other.
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for have := 0; ; {
		var before chan struct{}
		if have, before = t.lockFree(names, have); before == nil {
			return func() { t.unlock(names) }, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			t.unlock(names[:have])
			return nil, ctx.Err()
		}
	}
}

// tryLock locks names if all of them are free, as they nearly always are, and reports whether they
// were.
func (t *nameLocks) tryLock(names []string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if _, taken := t.held[name]; taken {
			return false
		}
	}
	if t.held == nil {
		t.held = map[string]chan struct{}{}
	}
	for _, name := range names {
		t.held[name] = nil
	}
	return true
}

// lockFree locks names from index have on, up to a name that is not free. It returns how many are
// locked then, and a channel that is closed when that one is unlocked; nil if all are locked.
func (t *nameLocks) lockFree(names []string, have int) (int, chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; have < len(names); have++ {
		before, taken := t.held[names[have]]
		if taken {
			if before == nil {
				before = make(chan struct{})
				t.held[names[have]] = before
			}
			return have, before
		}
		t.held[names[have]] = nil
	}
	return have, nil
}

func (t *nameLocks) unlock(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if waits := t.held[name]; waits != nil {
			close(waits)
		}
		delete(t.held, name)
	}
}

// fingerprinter makes fingerprints: texts that tell two values apart without showing either. They
// are keyed by random bytes of the store's own, so that one from a log can be checked against a
// value only where the store is.
type fingerprinter [32]byte

// fingerprintKey is the key's name among the store's own.
const fingerprintKey = "fingerprint"

// newFingerprinter returns the mark of store, and makes one if there is none. A mark that cannot be
// kept is good for this run; err then says why.
func newFingerprinter(store Store) (m fingerprinter, err error) {
	_, _ = rand.Read(m[:]) // never fails: see its documentation
	for range mostRounds {
		r, err := store.Get(record.Keys, fingerprintKey)
		if err == nil && r.Value != nil {
			var k record.Key
			if k, err = record.DecodeKey(r); err == nil && len(k.Bytes) == len(m) {
				return fingerprinter(k.Bytes), nil
			}
		}
		if err != nil {
			return m, err
		}
		err = store.Put(context.Background(), record.Key{Name: fingerprintKey, Bytes: m[:]}.Encode())
		newer := newerIn(err)
		if newer == nil {
			return m, err
		}
		// Another host was first. All hosts need the same mark: codes are stored under it.
		if err := store.Put(context.Background(), newer.Records...); err != nil {
			return m, err
		}
	}
	return m, errContended
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
