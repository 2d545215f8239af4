package refresh

import "hash/maphash"

// abreast is how many names are looked up at once. A processor has some ten to twenty questions to
// the memory open at a time.
const abreast = 16

// CachedAll is [Engine.Cached] for several names: values, which is as long, becomes theirs. Where
// none is held that is valid at now, the TTL is 0. Where there are more credentials than the
// processor's caches hold, to look up a name is to wait for the memory four or five times, one
// after another; here the names wait together.
func (e *Engine) CachedAll(names [][]byte, now Instant, values []Value) {
	for len(names) > 0 {
		n := min(len(names), abreast)
		e.cachedAbreast(names[:n], now, values[:n])
		names, values = names[n:], values[n:]
	}
}

// cachedAbreast is CachedAll for at most abreast names. Each of its loops asks the memory for what
// the next one needs.
func (e *Engine) cachedAbreast(names [][]byte, now Instant, values []Value) {
	var entries [abreast]*entry
	e.index.findAbreast(names, &entries)
	var held [abreast]*credential
	for i := range names {
		if en := entries[i%abreast]; en != nil {
			held[i%abreast] = en.current.Load()
		}
	}
	for i := range names {
		c := held[i%abreast]
		if c == nil || now >= c.end {
			values[i] = Value{}
			continue
		}
		en := entries[i%abreast]
		en.touch(now)
		values[i] = Value{Text: c.text, TTL: c.end.Sub(now), Peg: &en.peg}
	}
}

// findAbreast is find for at most abreast names.
func (x *index) findAbreast(names [][]byte, found *[abreast]*entry) {
	var hashes [abreast]uint64
	for i, name := range names {
		hash := maphash.Bytes(x.seed, name)
		hashes[i%abreast] = hash
		s, h := x.place(hash)
		if slots := s.load(); len(slots) > 0 {
			found[i%abreast] = slots[h&uint64(len(slots)-1)].Load()
		}
	}
	for i := range names {
		_, h := x.place(hashes[i%abreast])
		if en := found[i%abreast]; en != nil && en.hash != uint16(h) {
			found[i%abreast] = x.like(hashes[i%abreast])
		}
	}
	for i, name := range names {
		if en := found[i%abreast]; en != nil && en.name != string(name) {
			found[i%abreast] = x.find(name)
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
