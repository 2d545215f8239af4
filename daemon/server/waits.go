package server

import "sync"

// waits counts the requests of one user that wait, without watches, by the owner of what they wait
// for: an account, a corp, or a platform with its customers. The zero value is ready.
type waits struct {
	gauge // of all owners

	mu sync.Mutex // guards what follows
	of map[string]int32
}

// waitsReserve is the part of a user's waiting requests that is reserved for owners with less than
// this part.
const waitsReserve = 10

// enter counts one more for owner, unless there are limit. Requests for an owner whose calls hang
// leave room for requests for others.
func (w *waits) enter(owner string, limit int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	reserve := limit / waitsReserve
	if n := w.n.Load(); n >= limit || n >= limit-reserve && w.of[owner] >= reserve {
		return false
	}
	if w.of == nil {
		w.of = map[string]int32{}
	}
	w.of[owner]++
	w.n.Add(1)
	return true
}

func (w *waits) leave(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n.Add(-1)
	if w.of[owner]--; w.of[owner] == 0 {
		delete(w.of, owner)
	}
}
