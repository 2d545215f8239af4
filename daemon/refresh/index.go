package refresh

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"tokend/daemon/credential"
	"tokend/daemon/throttle"
)

// shards is over how many tables the index spreads its names: a table that grows
// blocks only additions to it, and is a small part of all.
const shards = 256

// index finds entries by name. Reading takes no lock and allocates nothing. Names are not kept
// besides: a table is the entries alone, with open addressing.
type index struct {
	seed   maphash.Seed
	shards [shards]shard
}

// shard is one of the tables. It is changed with mu held.
type shard struct {
	mu    sync.Mutex
	slots atomic.Pointer[[]atomic.Pointer[entry]] // a power of two of them
	used  int                                     // slots that are not nil
	live  int                                     // of these, those that are not removed
}

// removed stands where an entry has been, so that those behind it are still found. Its name is
// nobody's.
var removed = &entry{name: "\x00"}

func newIndex() *index {
	return &index{seed: maphash.MakeSeed()}
}

// place returns the shard of a name's hash, and where in it to begin.
func (x *index) place(hash uint64) (*shard, uint64) { return &x.shards[hash%shards], hash / shards }

// find returns the entry of name, nil for none.
func (x *index) find(name []byte) *entry {
	s, h := x.place(maphash.Bytes(x.seed, name))
	slots := s.load()
	for i := range slots {
		switch en := slots[(h+uint64(i))&uint64(len(slots)-1)].Load(); {
		case en == nil:
			return nil
		case en.hash == uint16(h) && en.name == string(name): // most names are equally long
			return en
		}
	}
	return nil
}

func (x *index) get(name string) *entry {
	s, h := x.place(maphash.String(x.seed, name))
	if en, _ := s.probe(h, name); en != nil {
		return en
	}
	return nil
}

// add stores en unless the name has an entry, and returns the entry of the name.
func (x *index) add(en *entry) *entry {
	s, h := x.place(maphash.String(x.seed, en.name))
	s.mu.Lock()
	defer s.mu.Unlock()
	have, _ := s.probe(h, en.name)
	if have != nil {
		return have
	}
	if slots := s.load(); 3*(s.used+1) > 2*len(slots) {
		s.rebuild(x)
	}
	en.hash = uint16(h)
	s.insert(h, en)
	return en
}

// remove takes en out, unless the name has another entry.
func (x *index) remove(en *entry) {
	s, h := x.place(maphash.String(x.seed, en.name))
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, i := s.probe(h, en.name); have == en {
		s.load()[i].Store(removed)
		s.live--
	}
}

// len returns how many entries there are.
func (x *index) len() (n int) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		n += s.live
		s.mu.Unlock()
	}
	return n
}

// each yields the entries there are, in no order, without holding them all in a slice.
func (x *index) each(yield func(*entry) bool) {
	for i := range x.shards {
		slots := x.shards[i].load()
		for k := range slots {
			if en := slots[k].Load(); en != nil && en != removed && !yield(en) {
				return
			}
		}
	}
}

// all returns the entries there are, in no order.
func (x *index) all() []*entry {
	all := make([]*entry, 0, x.len())
	for i := range x.shards {
		all = x.shards[i].appendTo(all, "")
	}
	return all
}

// count returns how many entries have names that begin with prefix. It may be wrong by what is
// being added. It is part of work.
func (x *index) count(prefix string, work *throttle.Work) (n int) {
	for i := range x.shards {
		work.Pause()
		n += x.shards[i].count(prefix)
	}
	return n
}

func (s *shard) appendTo(all []*entry, prefix string) []*entry {
	slots := s.load()
	for i := range slots {
		if en := slots[i].Load(); en != nil && en != removed && strings.HasPrefix(en.name, prefix) {
			all = append(all, en)
		}
	}
	return all
}

// count returns how many entries appendTo would append. It may be wrong by what is being added.
func (s *shard) count(prefix string) (n int) {
	if prefix == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.live
	}
	slots := s.load()
	for i := range slots {
		if en := slots[i].Load(); en != nil && en != removed && strings.HasPrefix(en.name, prefix) {
			n++
		}
	}
	return n
}

func (s *shard) load() []atomic.Pointer[entry] {
	if p := s.slots.Load(); p != nil {
		return *p
	}
	return nil
}

// probe returns the entry of name and where it stands; nil for none.
func (s *shard) probe(h uint64, name string) (*entry, int) {
	slots := s.load()
	for n := range slots {
		i := int(h+uint64(n)) & (len(slots) - 1)
		switch en := slots[i].Load(); {
		case en == nil:
			return nil, 0
		case en.hash == uint16(h) && en.name == name:
			return en, i
		}
	}
	return nil, 0
}

// insert puts en, which is not there, in the first free slot. s.mu is held.
func (s *shard) insert(h uint64, en *entry) {
	slots := s.load()
	i := int(h) & (len(slots) - 1)
	for slots[i].Load() != nil {
		i = (i + 1) & (len(slots) - 1)
	}
	slots[i].Store(en)
	s.used++
	s.live++
}

// rebuild makes room: a table of twice as many slots as there are entries at least, without those
// removed. Readers use the old table until then. s.mu is held.
func (s *shard) rebuild(x *index) {
	all := s.appendTo(make([]*entry, 0, s.live), "")
	size := 4
	for size < 2*(len(all)+1) {
		size *= 2
	}
	fresh := make([]atomic.Pointer[entry], size)
	next := shard{}
	next.slots.Store(&fresh)
	for _, en := range all {
		// No name is read for it, as those lie all over the memory, unless the table is larger than
		// what is kept of the hash can tell apart: with more than ten million entries.
		h := uint64(en.hash)
		if size > 1<<16 {
			_, h = x.place(maphash.String(x.seed, en.name))
		}
		next.insert(h, en)
	}
	s.used, s.live = next.used, next.live
	s.slots.Store(&fresh)
}

// batchSize is how many names are looked up at once. A processor has some ten to twenty questions
// to the memory open at a time.
const batchSize = 16

// CachedAll is [Engine.Cached] for several names: values, which is as long, becomes theirs. Where
// none is held that is valid at now, the TTL is 0. With more credentials than the processor's
// caches hold, looking up a name waits for memory four or five times in a row. Here the names wait
// together.
func (e *Engine) CachedAll(names [][]byte, now Instant, values []credential.Value) {
	for len(names) > 0 {
		n := min(len(names), batchSize)
		e.cachedBatch(names[:n], now, values[:n])
		names, values = names[n:], values[n:]
	}
}

// cachedBatch is CachedAll for at most batchSize names. Each of its loops asks the memory for what
// the next one needs.
func (e *Engine) cachedBatch(names [][]byte, now Instant, values []credential.Value) {
	var entries [batchSize]*entry
	e.index.findBatch(names, &entries)
	var held [batchSize]*cached
	for i := range names {
		if en := entries[i%batchSize]; en != nil {
			held[i%batchSize] = en.current.Load()
		}
	}
	for i := range names {
		values[i], _ = entries[i%batchSize].hit(held[i%batchSize], now)
	}
}

// findBatch is find for at most batchSize names.
func (x *index) findBatch(names [][]byte, found *[batchSize]*entry) {
	var hashes [batchSize]uint64
	for i, name := range names {
		hash := maphash.Bytes(x.seed, name)
		hashes[i%batchSize] = hash
		s, h := x.place(hash)
		if slots := s.load(); len(slots) > 0 {
			found[i%batchSize] = slots[h&uint64(len(slots)-1)].Load()
		}
	}
	for i := range names {
		_, h := x.place(hashes[i%batchSize])
		if en := found[i%batchSize]; en != nil && en.hash != uint16(h) {
			found[i%batchSize] = x.like(hashes[i%batchSize])
		}
	}
	for i, name := range names {
		if en := found[i%batchSize]; en != nil && en.name != string(name) {
			found[i%batchSize] = x.find(name)
		}
	}
}

// like returns the first entry whose name may have a hash; nil for none.
func (x *index) like(hash uint64) *entry {
	s, h := x.place(hash)
	slots := s.load()
	for i := range slots {
		if en := slots[(h+uint64(i))&uint64(len(slots)-1)].Load(); en == nil || en.hash == uint16(h) {
			return en
		}
	}
	return nil
}

// dropped has the readers of entries that are out of service, by name. A customer's credential that
// lapses and is requested again continues its counters. The zero value is ready.
type dropped struct {
	mu     sync.Mutex
	byName map[string]*credential.Readers
}

// keep takes the readers of en, which goes out of service. A read of en that adds the first counter
// at the same time may not be counted.
func (d *dropped) keep(en *entry) {
	readers := new(credential.Readers)
	if !readers.Continue(&en.readers) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byName == nil {
		d.byName = make(map[string]*credential.Readers)
	}
	d.byName[en.name] = readers
}

// restore gives en, which is new, the readers of its name. It is called with en.mu held, after en
// is known to be in service.
func (d *dropped) restore(en *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if readers := d.byName[en.name]; readers != nil {
		en.readers.Continue(readers)
	}
}

// forget removes the readers of names that are unknown.
func (d *dropped) forget(unknown func(name string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, readers := range d.byName {
		if unknown(name) {
			readers.Release()
			delete(d.byName, name)
		}
	}
}
