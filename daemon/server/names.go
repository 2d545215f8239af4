package server

import (
	osuser "os/user"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What names remembers, and for how long. A directory service may take its time for each
// question, and is asked by anybody's request.
const (
	maxNames  = 1024
	namesLive = time.Minute
)

// names are the names of users, by uid. The zero value is ready.
type names struct {
	mu   sync.Mutex
	all  map[uint32]string
	till time.Time // when all is out of date
}

// of returns the name of uid, or its number where it has none that can stand in a
// reply.
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
	name = userName(uid) // not under the lock: nobody waits for another's answer
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
