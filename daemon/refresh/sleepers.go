package refresh

import "sync"

// sleepers is the credentials that wait for their parent to recover, by the parent's name: they
// are found without looking through all there are. Who sleeps may have been woken by something else
// meanwhile. Its zero value is ready.
type sleepers struct {
	mu    sync.Mutex
	of    map[string]map[*entry]struct{}
	under map[*entry]string // by whose name it is in of
}

func (s *sleepers) add(parent string, en *entry) {
	if parent == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of, s.under = map[string]map[*entry]struct{}{}, map[*entry]string{}
	}
	s.dropLocked(en)
	if s.of[parent] == nil {
		s.of[parent] = map[*entry]struct{}{}
	}
	s.of[parent][en], s.under[en] = struct{}{}, parent
}

// drop forgets en.
func (s *sleepers) drop(en *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(en)
}

func (s *sleepers) dropLocked(en *entry) {
	parent, ok := s.under[en]
	if !ok {
		return
	}
	delete(s.under, en)
	if delete(s.of[parent], en); len(s.of[parent]) == 0 {
		delete(s.of, parent)
	}
}

// take returns who waits for parent, and forgets them.
func (s *sleepers) take(parent string) map[*entry]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of[parent]
	delete(s.of, parent)
	for en := range all {
		delete(s.under, en)
	}
	return all
}
