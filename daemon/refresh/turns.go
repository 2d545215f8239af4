package refresh

import (
	"context"
	"slices"
	"sync"
)

// turns lets one at a time change what stands under a name, on disk and in memory alike, so
// that the two change in the same order. Unlike a mutex a turn may be held
// while the disk is written. Its zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn ends
}

// take waits for the turns of all names and returns what ends them, or ctx's error. Who needs
// several takes them in one call, never one while holding another: they are taken in the
// same order by everybody.
func (t *turns) take(ctx context.Context, names ...string) (end func(), err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for i, name := range names {
		if err := t.takeOne(ctx, name); err != nil {
			t.end(names[:i])
			return nil, err
		}
	}
	return func() { t.end(names) }, nil
}

func (t *turns) takeOne(ctx context.Context, name string) error {
	for {
		t.mu.Lock()
		before := t.taken[name]
		if before == nil {
			if t.taken == nil {
				t.taken = map[string]chan struct{}{}
			}
			t.taken[name] = make(chan struct{})
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *turns) end(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		close(t.taken[name])
		delete(t.taken, name)
	}
}
