package refresh

import (
	"context"
	"sync"
	"time"
)

// saveEvery is how often a disk that has refused a value is tried again.
const saveEvery = 5 * time.Second

// unsaved is the entries whose value is served although the disk has refused it.
// Its zero value is ready.
type unsaved struct {
	mu      sync.Mutex
	entries map[*entry]struct{}
	kick    chan struct{} // made on first use; a level trigger
}

func (u *unsaved) add(en *entry) {
	u.mu.Lock()
	if u.entries == nil {
		u.entries = map[*entry]struct{}{}
	}
	u.entries[en] = struct{}{}
	u.mu.Unlock()
	select {
	case u.kicked() <- struct{}{}:
	default:
	}
}

func (u *unsaved) kicked() chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.kick == nil {
		u.kick = make(chan struct{}, 1)
	}
	return u.kick
}

// take returns the entries and forgets them.
func (u *unsaved) take() []*entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]*entry, 0, len(u.entries))
	for en := range u.entries {
		all = append(all, en)
	}
	clear(u.entries)
	return all
}

// save writes what the disk has refused as soon as it does not any more.
func (e *Engine) save(ctx context.Context) {
	kick := e.unsaved.kicked()
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
		}
		if !e.pause(ctx, saveEvery) {
			e.saveAll()
			return
		}
		e.saveAll()
	}
}

// saveAll tries each unsaved value once; what is refused again comes back by add.
func (e *Engine) saveAll() {
	if err := e.grants.save(context.Background()); err != nil {
		e.log.Error("cannot write a grant: it is in force in memory only", "error", err)
	}
	for _, en := range e.unsaved.take() {
		c := en.current.Load()
		if c == nil {
			continue
		}
		if err := e.cfg.Store.Put(context.Background(), e.keep(en.name, c)); err != nil {
			e.unsaved.add(en)
			continue
		}
		en.mu.Lock()
		// A newer value that was refused meanwhile is in the set again by its own doing.
		if en.current.Load() == c {
			en.volatile = false
		}
		en.mu.Unlock()
		e.log.Info("written: the disk takes values again", "name", en.name)
	}
}
