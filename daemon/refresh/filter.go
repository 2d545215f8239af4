package refresh

import (
	"context"
	"hash/maphash"
	"iter"
	"sync/atomic"

	"tokend/daemon/record"
)

// holdFilter is a store that knows without looking that it has no hold of a name. Hardly any
// credential has one, and a new grant of a customer deletes those of all that depends on it. It
// keeps one bit for each of rareBits hashes of names, set where a hold has been read or written and
// never taken back: so it looks in vain for some, and overlooks none.
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
