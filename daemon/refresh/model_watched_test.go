package refresh

import (
	"sync"
	"tokend/daemon/credential"
)

// watched is somebody who watches everything.
type watched struct {
	mu      sync.Mutex
	state   map[string]credential.State
	changed map[string]bool
	done    chan struct{}
}

func watchAll(e *Engine) *watched {
	s := &watched{state: map[string]credential.State{}, changed: map[string]bool{}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, list, w := e.Watch("", nil) // which waits until all is loaded
		s.mu.Lock()
		for l := range list {
			s.state[l.Name] = l.State
		}
		s.mu.Unlock()
		for more := true; more; {
			<-w.Ready()
			var told []credential.Listing
			told, more = w.Take()
			s.mu.Lock()
			for _, l := range told {
				s.state[l.Name], s.changed[l.Name] = l.State, true
			}
			s.mu.Unlock()
		}
	}()
	return s
}

// wait returns when the engine has ended the watch.
func (s *watched) wait() { <-s.done }

// check compares the watcher's events with the state.
func (s *watched) check(m *model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, told := range s.state {
		st, err := m.Status(name)
		// A dropped credential is announced as expired, and begins as idle when it is back.
		gone := told == credential.Expired && (m.index.get(name) == nil || st.State == credential.Idle)
		if err != nil || !s.changed[name] || st.State == told || gone {
			continue
		}
		m.w.violateNow("%s is %s, and watchers believe in %s", name, st.State, told)
	}
}
