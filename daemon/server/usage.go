package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of usage. What is counted exists, but one user of the host may be many uids: those
// beyond the first of a credential are counted together, and beyond maxCounters
// nothing new is.
const (
	maxReaders  = 64
	maxCounters = 1 << 19 // 100 MB at the very most, where the engine itself holds as many credentials
)

// usage counts who has been given which credential, since the daemon was started. Its zero
// value is ready.
type usage struct {
	mu     sync.RWMutex
	byName map[string][]*reads // a slice: credentials have one or two users each
	n      int                 // counters in byName
	rest   reads               // of what there is no counter for; shown nowhere
}

// reads is how often one user was given one credential.
type reads struct {
	uid    uint32
	others bool // not uid, but whoever has no counter of their own
	n      atomic.Int64
}

// of returns the counter of name and uid. It allocates at their first meeting only.
func (u *usage) of(name []byte, uid uint32) *reads {
	u.mu.RLock()
	r := find(u.byName[string(name)], uid)
	u.mu.RUnlock()
	if r != nil {
		return r
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if r := find(u.byName[string(name)], uid); r != nil {
		return r
	}
	if u.byName == nil {
		u.byName = make(map[string][]*reads)
	}
	if u.n >= maxCounters {
		return &u.rest
	}
	u.n++
	r = &reads{uid: uid, others: len(u.byName[string(name)]) == maxReaders}
	u.byName[string(name)] = append(u.byName[string(name)], r)
	return r
}

// find returns the counter of uid; that of the others is always the last.
func find(all []*reads, uid uint32) *reads {
	for _, r := range all {
		if r.uid == uid || r.others {
			return r
		}
	}
	return nil
}

// describe returns who has been given name, as www-data=120,root=3, the most frequent
// first; "" for nobody.
func (u *usage) describe(name string, names *names) string {
	type count struct {
		uid    uint32
		others bool
		n      int64
	}
	var counts []count
	u.mu.RLock()
	for _, r := range u.byName[name] {
		counts = append(counts, count{r.uid, r.others, r.n.Load()})
	}
	u.mu.RUnlock()
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
