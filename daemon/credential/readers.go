package credential

import "sync/atomic"

// maxReaders is how many uids have a counter of their own. One user of the host may have many uids.
const maxReaders = 64

// Readers counts how often each uid has read a credential. The engine hands it out with every
// value, so that a reader is counted without another lookup. The zero value is ready. The methods
// may be called concurrently.
type Readers struct{ last atomic.Pointer[reader] }

// reader is the counter of one uid. Most credentials have one or two readers, so the counters are a
// list.
type reader struct {
	uid  uint32
	rest bool // the counter is that of all uids without one; always the last that is added
	n    atomic.Int64
	all  *atomic.Int32 // the number of counters, this one included
	prev *reader
}

// Count counts a read by uid, and reports whether uid has a counter. It never allocates.
func (r *Readers) Count(uid uint32) bool {
	for c := r.last.Load(); c != nil; c = c.prev {
		if c.uid == uid || c.rest {
			c.n.Add(1)
			return true
		}
	}
	return false
}

// Add adds a counter of uid if there is none, and reports whether it has. After maxReaders, the
// counter is that of all other uids. The caller has counted it in all, until [Readers.Release].
func (r *Readers) Add(uid uint32, all *atomic.Int32) bool {
	for {
		last, n := r.last.Load(), 0
		for c := last; c != nil; c = c.prev {
			if c.uid == uid || c.rest {
				return false
			}
			n++
		}
		if r.last.CompareAndSwap(last, &reader{uid: uid, rest: n == maxReaders, all: all, prev: last}) {
			return true
		}
	}
}

// Continue makes r, which is new, continue the counters of before. It returns false if before has
// none.
func (r *Readers) Continue(before *Readers) bool {
	last := before.last.Load()
	r.last.CompareAndSwap(nil, last)
	return last != nil
}

// Release takes the counters out of the number of them. It is called once, when the credential is
// gone.
func (r *Readers) Release() {
	for c := r.last.Load(); c != nil; c = c.prev {
		c.all.Add(-1)
	}
}

// Reader is how often a uid has read a credential.
type Reader struct {
	UID   uint32
	Rest  bool // all uids without a counter of their own
	Reads int64
}

// List returns the counters, in no order.
func (r *Readers) List() (all []Reader) {
	for c := r.last.Load(); c != nil; c = c.prev {
		all = append(all, Reader{UID: c.uid, Rest: c.rest, Reads: c.n.Load()})
	}
	return all
}
