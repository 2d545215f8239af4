package cluster

import (
	"strings"
	"sync"
)

// signs notice that etcd was restored from a backup, if its revision does not show that: others
// have written so much since that it is higher again. With each heartbeat, what this host has
// written last must be there, and the version of the heartbeat's key must be higher than before.
type signs struct {
	prefix string

	mu    sync.Mutex
	key   string   // of the last record that this host has written; empty if it has written none
	at    int64    // its revision
	heart KeyValue // the heartbeat's key, without its value, at the last heartbeat
}

func newSigns(prefix string) *signs { return &signs{prefix: prefix} }

// wrote notes a transaction of this host that was applied.
func (s *signs) wrote(t Txn, o Outcome) {
	if !o.Held {
		return
	}
	for _, op := range t.Then {
		if op.Verb == Put && s.lasts(op.Key) {
			s.mu.Lock()
			if o.Revision > s.at {
				s.key, s.at = op.Key, o.Revision
			}
			s.mu.Unlock()
			return
		}
	}
}

// lasts reports whether no host deletes a key while it matters.
func (s *signs) lasts(key string) bool {
	for _, letter := range []string{"c", "g", "b"} {
		if strings.HasPrefix(key, s.prefix+"/"+letter+"/") {
			return true
		}
	}
	return false
}

// last returns what must still be there, and false if there is nothing.
func (s *signs) last() (key string, at int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key, s.at, s.at != 0
}

// forget forgets what was before a restore.
func (s *signs) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.at, s.heart = "", 0, KeyValue{}
}

// beat notes the key of a heartbeat that was just written, and reports whether it shows a restore:
// a key that was created before has no higher version.
func (s *signs) beat(kv KeyValue) (restored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.heart
	s.heart = KeyValue{Created: kv.Created, Version: kv.Version}
	return kv.Created == before.Created && kv.Version <= before.Version
}
