package refresh

import (
	"context"
	"slices"
	"sync"
)

// nameLocks is one lock for each name. Who holds it changes what is stored under the name, on disk
// and in memory, so that both change in the same order. A lock may be held while the disk is
// written. The zero value is ready.
type nameLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed on unlock; nil if nobody waits
}

// lock locks all names and returns what unlocks them, or ctx's error. A caller that needs several
// locks takes them in one call, never one while it holds another. A name may be in names twice. The
// caller does not change names before it unlocks them.
func (t *nameLocks) lock(ctx context.Context, names ...string) (unlock func(), err error) {
	if t.tryLock(names) {
		return func() { t.unlock(names) }, nil
	}
	// All callers that hold some and wait for others lock in the same order, so that no two wait
	// for each other.
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for have := 0; ; {
		var before chan struct{}
		if have, before = t.lockFree(names, have); before == nil {
			return func() { t.unlock(names) }, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			t.unlock(names[:have])
			return nil, ctx.Err()
		}
	}
}

// tryLock locks names if all of them are free, as they nearly always are, and reports whether they
// were.
func (t *nameLocks) tryLock(names []string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if _, taken := t.held[name]; taken {
			return false
		}
	}
	if t.held == nil {
		t.held = map[string]chan struct{}{}
	}
	for _, name := range names {
		t.held[name] = nil
	}
	return true
}

// lockFree locks names from index have on, up to a name that is not free. It returns how many are
// locked then, and a channel that is closed when that one is unlocked; nil if all are locked.
func (t *nameLocks) lockFree(names []string, have int) (int, chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; have < len(names); have++ {
		before, taken := t.held[names[have]]
		if taken {
			if before == nil {
				before = make(chan struct{})
				t.held[names[have]] = before
			}
			return have, before
		}
		t.held[names[have]] = nil
	}
	return have, nil
}

func (t *nameLocks) unlock(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if waits := t.held[name]; waits != nil {
			close(waits)
		}
		delete(t.held, name)
	}
}
