package cluster

import (
	"strings"
	"sync"
)

// signs notice that etcd was restored from a backup, if its revision does not show that: others
// have written so much since that it is higher again. What this host has written last must be there
// with each heartbeat, and the heartbeats of a peer must have rising versions.
type signs struct {
	prefix string

	mu    sync.Mutex
	key   string // of the last record that this host has written; empty if it has written none
	at    int64  // its revision
	beats map[string]KeyValue
}

func newSigns(prefix string) *signs { return &signs{prefix: prefix, beats: make(map[string]KeyValue)} }

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
	s.key, s.at = "", 0
	clear(s.beats)
}

// beat notes a heartbeat, and reports whether it shows a restore: a later change of the same key
// has no higher version.
func (s *signs) beat(kv KeyValue) (restored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.beats[kv.Key]
	if kv.Modified > before.Modified {
		s.beats[kv.Key] = KeyValue{Created: kv.Created, Modified: kv.Modified, Version: kv.Version}
		return kv.Created == before.Created && kv.Version <= before.Version
	}
	return false
}
