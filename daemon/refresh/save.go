package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokend/daemon/record"
)

// saveEvery is how often a disk that has refused a value is tried again.
const saveEvery = 5 * time.Second

// unsavedValues is the entries whose value is served although the disk has refused it.
// Its zero value is ready.
type unsavedValues struct {
	mu      sync.Mutex
	entries map[*entry]struct{}
	trigger chan struct{} // made on first use; a level trigger
}

func (u *unsavedValues) add(en *entry) {
	u.mu.Lock()
	if u.entries == nil {
		u.entries = map[*entry]struct{}{}
	}
	u.entries[en] = struct{}{}
	u.mu.Unlock()
	u.kick()
}

// kick makes the engine write soon what the disk has refused.
func (u *unsavedValues) kick() {
	select {
	case u.kicked() <- struct{}{}:
	default:
	}
}

func (u *unsavedValues) kicked() chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.trigger == nil {
		u.trigger = make(chan struct{}, 1)
	}
	return u.trigger
}

// take returns the entries and forgets them.
func (u *unsavedValues) take() []*entry {
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
// codes; what is refused again is tried at the next kick, which it makes. A stop waits for it: if
// the store of all hosts does not answer, the rest is not tried.
func (e *Engine) saveAll() {
	refused, why := 0, error(nil)
	for _, name := range e.grants.refused() {
		if cutOff(why) {
			refused++
			continue
		}
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
	apart := cutOff(why)
	if err := e.saveBudgets(); err != nil {
		apart = apart || cutOff(err)
		e.unsaved.kick()
	}
	if e.codes.undeleted.Swap(false) {
		e.resume()
	}
	for _, en := range e.unsaved.take() {
		if !apart {
			err := e.saveValue(en)
			if err == nil {
				continue
			}
			apart = cutOff(err)
		}
		e.unsaved.add(en)
	}
}

// saveValue writes the value of en that the disk has refused, unless it has got a later one.
func (e *Engine) saveValue(en *entry) error {
	for round := 1; ; round++ {
		if err := e.saveValueOnce(en); err == nil || !e.renewed(err, round) {
			return err
		}
	}
}

func (e *Engine) saveValueOnce(en *entry) error {
	end, _ := e.locks.lock(context.Background(), en.name)
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

// forgetBatch is how many records are deleted at once.
const forgetBatch = 256

// withoutValue returns the deletions of the value of name and of its history.
func withoutValue(name string) []record.Record {
	return []record.Record{{Table: record.Credentials, Key: name}, {Table: record.Histories, Key: name}}
}

// deleteRecords deletes records. Where several may be about one name it is called in the name's
// turn.
func (e *Engine) deleteRecords(stray []record.Record) error {
	if err := e.writeAll(stray); err != nil {
		return fmt.Errorf("delete unused records: %w", err)
	}
	return nil
}

// writeAll writes recs, not too many at once.
func (e *Engine) writeAll(recs []record.Record) error {
	var errs []error
	for batch := range slices.Chunk(recs, forgetBatch) {
		errs = append(errs, e.cfg.Store.Put(context.Background(), batch...))
	}
	return errors.Join(errs...)
}

// unusedRecords is the records that the loading has found to be unused, as the next start would
// too. After a night without tokend that may be a record of every customer.
type unusedRecords struct {
	values, holds, budgets []string // keys; the values have ended
	others                 []string // keys of values that were deleted at once
}

// deleteUnused deletes the records that the loading has found unused and that still are. It runs
// beside everything else, since nobody has to wait for it; what a stop leaves, the next start finds
// again.
func (e *Engine) deleteUnused(ctx context.Context) {
	s := e.unused
	e.unused = unusedRecords{}
	err := errors.Join(
		e.deleteEach(ctx, record.Credentials, s.values, e.valueless),
		e.deleteEach(ctx, record.Holds, s.holds, e.holdMoot),
		e.deleteEach(ctx, record.Histories, slices.Concat(s.values, s.holds, s.others), e.historyUseless),
		e.forgetBudgets(ctx, s.budgets))
	if err != nil && ctx.Err() == nil {
		e.log.Error("cannot delete unused records: the next start does", "error", err)
	}
}

// deleteEach deletes the records under keys of which useless, called in the turn of each, reports
// that they are.
func (e *Engine) deleteEach(ctx context.Context, table record.Table, keys []string, useless func(key string) bool) error {
	for batch := range slices.Chunk(keys, forgetBatch) {
		end, err := e.locks.lock(ctx, batch...)
		if err != nil {
			return err
		}
		var recs []record.Record
		for _, key := range batch {
			if useless(key) {
				recs = append(recs, record.Record{Table: table, Key: key})
			}
		}
		if len(recs) > 0 {
			err = e.cfg.Store.Put(ctx, recs...)
		}
		end()
		if err != nil {
			return err
		}
	}
	return nil
}

// valueless reports whether what is kept under name is still what the loading has found: whatever
// has been fetched since is in the entry too.
func (e *Engine) valueless(name string) bool {
	en := e.index.get(name)
	return en == nil || en.current.Load() == nil
}

// holdMoot reports whether the hold that is kept under name is of another configuration than the
// one in force, or of a kind that keeps none.
func (e *Engine) holdMoot(name string) bool {
	r, err := e.cfg.Store.Get(record.Holds, name)
	if err != nil || r.Value == nil {
		return false
	}
	h, err := record.DecodeHold(r)
	if err != nil {
		return false
	}
	if endpointOwner(name) != "" {
		return !e.endpoints.holds(name)
	}
	spec, err := e.lookup(name)
	return err != nil || spec.Settings != h.Settings || spec.Policy.PerAsk
}
