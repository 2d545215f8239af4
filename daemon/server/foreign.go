package server

import (
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// A program that stores a token as if in a cache has fetched it for itself, and has invalidated the
// token of all others. tokend drops what it stores, counts it in STATS, and says which user it is.

// deposit answers a program that stores a value under name. The peer must see the name. put is
// called with whether the credential is fetched: only others can be put.
func (s *session) deposit(name []byte, put func(fetched bool) action) action {
	if _, visible := s.rights.May(protocol.VerbPut, name); !visible {
		next, _ := s.allowed(protocol.VerbPut, name)
		return next
	}
	class, err := s.server.cfg.Engine.Class(string(name))
	if err != nil {
		s.begin(protocol.VerbPut)
		s.fail(err)
		return more
	}
	return put(class == credential.Fetched)
}

// dropForeign drops value, which a program has stored under name, and calls answer.
func (s *session) dropForeign(name []byte, value string, answer func()) action {
	s.begin(protocol.VerbGet)
	if next, ok := s.allowed(protocol.VerbGet, name); !ok {
		return next
	}
	if v, ok := s.cached(name); ok && v.Text == secret.Text(value) {
		answer()
		return more
	}
	s.user.stats.foreignSets.Add(1)
	owned := string(name)
	if !s.server.foreign.allow(owned, s.server.clock()) {
		answer()
		return more
	}
	return s.do(func(func() error) error {
		s.server.log.Warn("a program fetches a credential for itself, which may invalidate the token of all others: remove the secret from its configuration",
			"name", owned, "uid", s.peer.UID, "user", s.server.audit.names.of(s.peer.UID), "pid", s.peer.PID)
		answer()
		return nil
	})
}

// foreignEvery is how often foreign values of one credential are logged at most.
const foreignEvery = time.Minute

// maxForeign bounds the credentials that foreign remembers. Beyond it, no further ones are logged.
const maxForeign = 1024

// foreign remembers when a foreign value of each credential was last logged. The zero value is
// ready.
type foreign struct {
	mu     sync.Mutex
	logged map[string]time.Duration // by name, by the server's clock
}

// allow reports whether to log a foreign value of name at now.
func (f *foreign) allow(name string, now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.logged[name]; ok && now-last < foreignEvery {
		return false
	}
	if len(f.logged) >= maxForeign {
		for name, last := range f.logged {
			if now-last >= foreignEvery {
				delete(f.logged, name)
			}
		}
		if len(f.logged) >= maxForeign {
			return false
		}
	}
	if f.logged == nil {
		f.logged = map[string]time.Duration{}
	}
	f.logged[name] = now
	return true
}
