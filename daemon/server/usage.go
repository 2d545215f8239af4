package server

import (
	"cmp"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// usage counts who has been given which credential, since the daemon was started. Only what
// exists is counted, so it is bounded by credentials times users. Its zero value is ready.
type usage struct {
	mu     sync.RWMutex
	byName map[string][]*reads // a slice: credentials have one or two users each
}

// reads is how often one user was given one credential.
type reads struct {
	uid uint32
	n   atomic.Int64
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
	r = &reads{uid: uid}
	u.byName[string(name)] = append(u.byName[string(name)], r)
	return r
}

func find(all []*reads, uid uint32) *reads {
	for _, r := range all {
		if r.uid == uid {
			return r
		}
	}
	return nil
}

// describe returns who has been given name, as www-data=120,root=3, the most frequent
// first; "" for nobody.
func (u *usage) describe(name string) string {
	type count struct {
		uid uint32
		n   int64
	}
	var counts []count
	u.mu.RLock()
	for _, r := range u.byName[name] {
		counts = append(counts, count{r.uid, r.n.Load()})
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
		b.WriteString(userName(c.uid))
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(c.n, 10))
	}
	return b.String()
}

// userName returns the name of uid, or its number where it has none that can stand in a
// reply.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil || u.Username == "" || strings.ContainsAny(u.Username, " ,=") {
		return id
	}
	return u.Username
}
