package refresh

import (
	"hash/maphash"
	"sync"
)

// shards is how many locks the index spreads its names over: readers on a few cores
// then seldom meet.
const shards = 256

// index finds entries by name. Reading it by a byte slice does not allocate.
type index struct {
	seed   maphash.Seed
	shards [shards]struct {
		sync.RWMutex
		entries map[string]*entry
	}
}

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range x.shards {
		x.shards[i].entries = map[string]*entry{}
	}
	return x
}

// find returns the entry of name, nil for none.
func (x *index) find(name []byte) *entry {
	s := &x.shards[maphash.Bytes(x.seed, name)%shards]
	s.RLock()
	defer s.RUnlock()
	return s.entries[string(name)]
}

func (x *index) get(name string) *entry {
	s := &x.shards[maphash.String(x.seed, name)%shards]
	s.RLock()
	defer s.RUnlock()
	return s.entries[name]
}

// add stores en unless the name is there already, and returns what is there.
func (x *index) add(en *entry) *entry {
	s := &x.shards[maphash.String(x.seed, en.name)%shards]
	s.Lock()
	defer s.Unlock()
	if have := s.entries[en.name]; have != nil {
		return have
	}
	s.entries[en.name] = en
	return en
}

// remove takes en out, unless another entry stands in its place.
func (x *index) remove(en *entry) {
	s := &x.shards[maphash.String(x.seed, en.name)%shards]
	s.Lock()
	defer s.Unlock()
	if s.entries[en.name] == en {
		delete(s.entries, en.name)
	}
}

// all returns the entries there are, in no order.
func (x *index) all() []*entry {
	var all []*entry
	for i := range x.shards {
		s := &x.shards[i]
		s.RLock()
		for _, en := range s.entries {
			all = append(all, en)
		}
		s.RUnlock()
	}
	return all
}
