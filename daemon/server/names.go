package server

import (
	osuser "os/user"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How many names are cached, and for how long. A directory service may be slow, and any user's
// request can cause a lookup.
const (
	maxNames  = 1024
	namesLive = time.Minute
)

// names caches the names of users, by uid. The zero value is ready.
type names struct {
	mu   sync.Mutex
	all  map[uint32]string
	till time.Time // when all expires
}

// UserName returns the name of a user of this host, or the number if it has no printable name.
func (s *Server) UserName(uid uint32) string { return s.audit.names.of(uid) }

// of returns the name of uid, or the number if it has no name that a reply can contain.
func (ns *names) of(uid uint32) string {
	ns.mu.Lock()
	if ns.all == nil || len(ns.all) >= maxNames || time.Now().After(ns.till) {
		ns.all, ns.till = make(map[uint32]string), time.Now().Add(namesLive)
	}
	name, ok := ns.all[uid]
	ns.mu.Unlock()
	if ok {
		return name
	}
	name = userName(uid) // without the lock, so that no other lookup waits
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.all[uid] = name
	return name
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := osuser.LookupId(id)
	if err != nil || u.Username == "" || strings.ContainsFunc(u.Username, func(r rune) bool {
		return r <= ' ' || r > '~' || r == ',' || r == '='
	}) {
		return id
	}
	return u.Username
}
