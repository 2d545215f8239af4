package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tokend/daemon/credential"
)

// Bounds of usage. What is counted exists, but one user of the host may be many uids: those
// beyond the first of a credential are counted together, and beyond maxCounters
// nothing new is.
const (
	maxReaders  = 64
	maxCounters = 1 << 19 // 25 MB at the very most, where the engine itself holds as many credentials
)

// usage counts who has been given which credential, since the daemon was started. The counters hang
// at the engine's pegs, so that who has just been handed a value looks nothing up to count it. Its
// zero value is ready.
type usage struct {
	mu   sync.Mutex // held to add counters and to take them away
	n    int        // counters there are
	rest reads      // of what there is no counter for; shown nowhere
}

// readers is who has been given one credential: a list, as most have one or two. It takes 48 bytes.
type readers struct {
	hung  credential.Hung // the readers themselves: what their peg points to, so that it is one step to first
	first reads
	of    *usage // guarded by its mu; nil when the credential is gone
}

// reads is how often one user was given one credential.
type reads struct {
	uid    uint32
	others bool // not uid, but whoever has no counter of their own; always the last
	n      atomic.Int64
	next   atomic.Pointer[reads]
}

// of returns the counter of uid at peg. It takes a lock and allocates at their first meeting only.
func (u *usage) of(peg *credential.Peg, uid uint32) *reads {
	if peg == nil {
		return &u.rest
	}
	if all, ok := peg.Load().(*readers); ok {
		if r, _ := all.find(uid); r != nil {
			return r
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.meetLocked(peg, uid)
}

// meetLocked is of, for a counter that is not there yet. u.mu is held.
func (u *usage) meetLocked(peg *credential.Peg, uid uint32) *reads {
	switch all, ok := peg.Load().(*readers); {
	case ok:
		r, last := all.find(uid)
		switch {
		case r != nil:
			return r
		case u.n >= maxCounters, all.of == nil:
			return &u.rest
		}
		r = &reads{uid: uid, others: all.len() == maxReaders}
		last.next.Store(r)
		u.n++
		return r
	case u.n >= maxCounters:
		return &u.rest
	}
	all := &readers{of: u}
	all.hung, all.first.uid = all, uid
	if !peg.Hang(&all.hung) {
		return &u.rest // the credential has gone this moment
	}
	u.n++
	return &all.first
}

// find returns the counter of uid; nil, and the last one, where there is none.
func (all *readers) find(uid uint32) (r, last *reads) {
	for r = &all.first; r != nil; r = r.next.Load() {
		if r.uid == uid || r.others {
			return r, nil
		}
		last = r
	}
	return nil, last
}

func (all *readers) len() (n int) {
	for r := &all.first; r != nil; r = r.next.Load() {
		n++
	}
	return n
}

// Gone makes room for other counters.
func (all *readers) Gone() {
	u := all.of
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n -= all.len()
	all.of = nil
}

// describe returns who has been given the credential of peg, as www-data=120,root=3, the most
// frequent first; "" for nobody.
func describe(peg *credential.Peg, names *names) string {
	if peg == nil {
		return ""
	}
	all, ok := peg.Load().(*readers)
	if !ok {
		return ""
	}
	type count struct {
		uid    uint32
		others bool
		n      int64
	}
	var counts []count
	for r := &all.first; r != nil; r = r.next.Load() {
		counts = append(counts, count{r.uid, r.others, r.n.Load()})
	}
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.uid, b.uid))
	})
	var b strings.Builder
	for i, c := range counts {
		if i > 0 {
			b.WriteByte(',')
		}
		if c.others {
			b.WriteString("others")
		} else {
			b.WriteString(names.of(c.uid))
		}
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(c.n, 10))
	}
	return b.String()
}
