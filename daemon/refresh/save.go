package refresh

import (
	"context"
	"sync"
	"time"

	"tokend/daemon/record"
)

// saveEvery is how often a disk that has refused a value is tried again.
const saveEvery = 5 * time.Second

// unsaved is the entries whose value is served although the disk has refused it.
// Its zero value is ready.
type unsaved struct {
	mu      sync.Mutex
	entries map[*entry]struct{}
	trigger chan struct{} // made on first use; a level trigger
}

func (u *unsaved) add(en *entry) {
	u.mu.Lock()
	if u.entries == nil {
		u.entries = map[*entry]struct{}{}
	}
	u.entries[en] = struct{}{}
	u.mu.Unlock()
	u.kick()
}

// kick makes the engine write soon what the disk has refused.
func (u *unsaved) kick() {
	select {
	case u.kicked() <- struct{}{}:
	default:
	}
}

func (u *unsaved) kicked() chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.trigger == nil {
		u.trigger = make(chan struct{}, 1)
	}
	return u.trigger
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

// save writes what the disk has refused as soon as it does not any more. What is left when ctx
// ends is tried by Run when everything has landed.
func (e *Engine) save(ctx context.Context) {
	kick := e.unsaved.kicked()
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
		}
		if !e.pause(ctx, saveEvery) {
			return
		}
		e.saveAll()
	}
}

// saveAll tries each unsaved grant, budget and value once, and to delete the records of settled
// codes; what is refused again is tried at the next kick, which it makes.
func (e *Engine) saveAll() {
	refused, why := 0, error(nil)
	for _, name := range e.grants.refused() {
		if err := e.saveGrant(context.Background(), name); err != nil {
			refused, why = refused+1, err
			continue
		}
		e.log.Info("written: the disk takes grants again", "name", name)
	}
	if refused > 0 {
		// One line of all: there may be thousands, and the disk is tried every few seconds.
		e.log.Error("cannot write grants: they are in force in memory only", "grants", refused, "error", why)
		e.unsaved.kick()
	}
	if err := e.saveBudgets(); err != nil {
		e.unsaved.kick()
	}
	if e.codes.stray.Swap(false) {
		e.resume()
	}
	for _, en := range e.unsaved.take() {
		if err := e.saveValue(en); err != nil {
			e.unsaved.add(en)
		}
	}
}

// saveValue writes the value of en that the disk has refused, unless it has got a later one.
func (e *Engine) saveValue(en *entry) error {
	end, _ := e.turns.take(context.Background(), en.name)
	defer end()
	en.mu.Lock()
	c := en.current.Load()
	ended := en.written && en.hold == nil && en.flight == nil // its record stayed with the value
	wanted := en.volatile && en.gone() == nil && c != nil
	en.mu.Unlock()
	if !wanted {
		return nil
	}
	recs := []record.Record{e.keep(en.name, en.class.Load().target, c)}
	if ended {
		recs = append(recs, record.Record{Table: record.Holds, Key: en.name})
	}
	if err := e.cfg.Store.Put(context.Background(), recs...); err != nil {
		return err
	}
	en.mu.Lock()
	en.noteSaved()
	if ended {
		en.noteNoRecord()
	}
	en.mu.Unlock()
	e.log.Info("written: the disk takes values again", "name", en.name)
	return nil
}
