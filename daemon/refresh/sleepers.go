package refresh

import "sync"

// sleepers is the credentials that wait for their parent to recover, by the parent's name: they
// are found without looking through all there are. Who sleeps may have been woken by something else
// meanwhile. Its zero value is ready.
type sleepers struct {
	mu sync.Mutex
	of map[string]map[*entry]struct{}
}

func (s *sleepers) add(parent string, en *entry) {
	if parent == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]map[*entry]struct{}{}
	}
	if s.of[parent] == nil {
		s.of[parent] = map[*entry]struct{}{}
	}
	s.of[parent][en] = struct{}{}
}

// drop forgets en.
func (s *sleepers) drop(parent string, en *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of[parent], en)
}

// take returns who waits for parent, and forgets them.
func (s *sleepers) take(parent string) map[*entry]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of[parent]
	delete(s.of, parent)
	return all
}
