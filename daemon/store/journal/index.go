package journal

import (
	"bytes"
	"hash/maphash"
	"iter"
)

// Index finds the newest record of each key of a journal. Create an Index with NewIndex, and add
// entries in order.
//
// At every start the index takes every grant, before the daemon answers. The index is therefore a
// hash table without pointers, which the garbage collector need not scan. Keys and references are
// in blocks, so growth copies neither.
type Index struct {
	seed  maphash.Seed
	slots []uint64    // open addressing: high half of the hash, 1 + reference index; 0: empty
	refs  []*refBlock // in order of first occurrence of the key
	count int         // number of references in refs
	keys  [][]byte    // blocks of concatenated keys
}

// Ref is the position of the newest record of a key.
type Ref struct {
	Commit, Number uint64
	Position       int // index in the records of its entry
	Deleted        bool
}

// keptRef is a Ref and the position of its key: length bytes of a block.
type keptRef struct {
	commit, number      uint64
	hash                uint64
	position            uint32
	block, from, length uint32
	deleted, removed    bool
}

const (
	// firstSlots is the initial number of slots.
	firstSlots = 1 << 10

	// blockRefs and blockKeys are the capacity of a block: references, and bytes of keys. A longer
	// key has a block of its own.
	blockRefs = 512
	blockKeys = 32 << 10
)

type refBlock [blockRefs]keptRef

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{seed: maphash.MakeSeed(), slots: make([]uint64, firstSlots)}
}

// Add adds the records of e.
func (x *Index) Add(e Entry) {
	for i, r := range e.Records {
		hash := maphash.Bytes(x.seed, r.Key)
		k := x.find(hash, r.Key)
		if k == nil {
			k = x.insert(hash, r.Key)
		} else if !k.removed && k.commit > e.Commit {
			continue
		}
		k.commit, k.number, k.position = e.Commit, e.Number, uint32(i)
		k.deleted, k.removed = r.Value == nil, false
	}
}

// Get returns the newest record of key, and whether there is one.
func (x *Index) Get(key []byte) (Ref, bool) {
	if k := x.find(maphash.Bytes(x.seed, key), key); k != nil && !k.removed {
		return k.ref(), true
	}
	return Ref{}, false
}

// Remove removes key. It does nothing if there is no key.
func (x *Index) Remove(key []byte) {
	if k := x.find(maphash.Bytes(x.seed, key), key); k != nil {
		k.removed = true
	}
}

// All yields the newest record of each key. The caller must not modify the key.
func (x *Index) All() iter.Seq2[[]byte, Ref] {
	return func(yield func([]byte, Ref) bool) {
		for i := range x.count {
			if k := x.at(i); !k.removed && !yield(x.key(k), k.ref()) {
				return
			}
		}
	}
}

// Newest reports whether record i of e is the newest of its key.
func (x *Index) Newest(e Entry, i int) bool {
	ref, ok := x.Get(e.Records[i].Key)
	return ok && ref.Number == e.Number && ref.Position == i
}

// find returns the reference of key, including a removed one, or nil.
func (x *Index) find(hash uint64, key []byte) *keptRef {
	mask := uint64(len(x.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := x.slots[at]
		if slot == 0 {
			return nil
		}
		if slot>>32 != hash>>32 {
			continue
		}
		if k := x.at(int(uint32(slot)) - 1); bytes.Equal(x.key(k), key) {
			return k
		}
	}
}

// insert adds a key that x does not have, and returns its empty reference.
func (x *Index) insert(hash uint64, key []byte) *keptRef {
	if x.count >= len(x.slots)/4*3 {
		x.slots = make([]uint64, 2*len(x.slots))
		for i := range x.count {
			x.place(i)
		}
	}
	if x.count == len(x.refs)*blockRefs {
		x.refs = append(x.refs, new(refBlock))
	}
	last := len(x.keys) - 1
	if last < 0 || cap(x.keys[last])-len(x.keys[last]) < len(key) {
		x.keys = append(x.keys, make([]byte, 0, max(blockKeys, len(key))))
		last++
	}
	k := x.at(x.count)
	*k = keptRef{hash: hash, block: uint32(last), from: uint32(len(x.keys[last])), length: uint32(len(key))}
	x.keys[last] = append(x.keys[last], key...)
	x.place(x.count)
	x.count++
	return k
}

// place gives reference i a slot.
func (x *Index) place(i int) {
	hash, mask := x.at(i).hash, uint64(len(x.slots)-1)
	at := hash & mask
	for x.slots[at] != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = hash>>32<<32 | uint64(i+1)
}

func (x *Index) at(i int) *keptRef { return &x.refs[i/blockRefs][i%blockRefs] }

func (x *Index) key(k *keptRef) []byte {
	return x.keys[k.block][k.from : k.from+k.length : k.from+k.length]
}

func (k *keptRef) ref() Ref { return Ref{k.commit, k.number, int(k.position), k.deleted} }
