package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// sleepLocked notes that en waits for its parent, unless the parent has come by another value
// than used, the one that the call was made with ("" for none): then it need not wait. The
// parent publishes its value before it wakes who sleeps, so that one of the two sees
// the other. en.mu is held.
func (e *Engine) sleepLocked(en *entry, parent string, used secret.Text, now clock.Instant) {
	if !en.sleepsLocked() {
		return
	}
	e.sleepers.add(parent, en)
	pe := e.index.get(parent)
	if pe == nil {
		return
	}
	if c := pe.valid(now); c != nil && c.text != used {
		e.applyLocked(en, woken{now.Add(soonest)}, now) // not at once: see failure
	}
}

// wakeChildren lets the children that wait for parent, which has recovered, ask again, and the
// authorization codes that wait for it be exchanged. What is on disk of their holds is left to the
// next call, which replaces it; a run that finds it looks at the parent (sleepLoadedLocked).
func (e *Engine) wakeChildren(parent string) {
	e.codes.wake(parent)
	now := e.clock.Now()
	for en := range e.sleepers.take(parent) {
		en.mu.Lock()
		if en.sleepsLocked() {
			e.applyLocked(en, woken{now}, now)
		}
		en.mu.Unlock()
	}
}

// forgetBatch is how many records are deleted at once.
const forgetBatch = 256

// forget deletes records. Where several may be about one name it is called in the name's turn.
func (e *Engine) forget(stray []record.Record) error {
	if err := e.writeAll(stray); err != nil {
		return fmt.Errorf("delete what is of no use any more: %w", err)
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
