package refresh

import (
	"context"
	"slices"
	"sync"
)

// nameLocks lets one at a time change what stands under a name, on disk and in memory alike, so
// that the two change in the same order. Unlike a mutex a turn may be held
// while the disk is written. Its zero value is ready.
type nameLocks struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn ends; nil where nobody waits for that
}

// take waits for the turns of all names and returns what ends them, or ctx's error. Who needs
// several takes them in one call, never one while holding another. names may hold one twice, and
// are not to be changed before the end.
func (t *nameLocks) take(ctx context.Context, names ...string) (end func(), err error) {
	if t.takeAll(names) {
		return func() { t.end(names) }, nil
	}
	// Everybody who holds some and waits for others takes them in the same order, so that no two
	// wait for each other.
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for have := 0; ; {
		var before chan struct{}
		if have, before = t.takeFree(names, have); before == nil {
			return func() { t.end(names) }, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			t.end(names[:have])
			return nil, ctx.Err()
		}
	}
}

// takeAll takes the turns of names if all of them are free, as nearly always, and reports whether
// they were.
func (t *nameLocks) takeAll(names []string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if _, taken := t.taken[name]; taken {
			return false
		}
	}
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	for _, name := range names {
		t.taken[name] = nil
	}
	return true
}

// takeFree takes the turns of names from the one at have on, up to one that is not free. It returns
// how many are had then, and what is closed when that one may be; nil if all are had.
func (t *nameLocks) takeFree(names []string, have int) (int, chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; have < len(names); have++ {
		before, taken := t.taken[names[have]]
		if taken {
			if before == nil {
				before = make(chan struct{})
				t.taken[names[have]] = before
			}
			return have, before
		}
		t.taken[names[have]] = nil
	}
	return have, nil
}

func (t *nameLocks) end(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if waits := t.taken[name]; waits != nil {
			close(waits)
		}
		delete(t.taken, name)
	}
}
