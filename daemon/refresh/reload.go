package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// SetCatalog puts another configuration in force. Credentials that did not change are neither
// fetched nor interrupted. Those of removed accounts are dropped, except grants and pushed tickets,
// which stay on disk and are used again with their account. The hold of a changed account ends. So
// does every hold that an operator ends, because something may have been fixed at WeChat's side.
// What is fetched by the secret of a changed account is fetched at once: a wrong secret is noticed
// while the value that it was to replace lives.
func (e *Engine) SetCatalog(c Catalog) {
	e.awaitLoaded()
	e.reloaded.Store(int64(e.clock.Now()))
	e.catalog.Store(&c)
	e.classes.forget()
	for _, h := range e.hosts {
		h.hanging.forget()
	}
	e.liftEndpoints((*hold).operators)
	var touched []*entry
	work := e.cfg.Throttle.BeginUrgent(e.base)
	defer work.End()
	for _, en := range e.index.all() {
		work.Step()
		spec, err := c.Lookup(en.name)
		en.mu.Lock()
		was := en.class.Load()
		switch {
		case err != nil:
			// At once, whatever the disk is at: nothing of an account that is gone is served.
			e.dropLocked(en, unconfigured(en.name))
			touched = append(touched, en)
		case was.target != spec.Target:
			touched = append(touched, en) // another credential by the same name: follow drops this one
		case en.class.Swap(e.classes.keep(was, &spec)).settings != spec.Settings:
			touched = append(touched, en)
			if now := e.clock.Now(); en.hold == nil && e.bySecret(&spec) {
				e.applyLocked(en, refreshMoved{now}, now)
			}
		case en.policy().PerAsk, en.hold != nil && en.hold.operators():
			touched = append(touched, en)
		}
		en.mu.Unlock()
	}
	for batch := range slices.Chunk(touched, forgetBatch/2) {
		e.follow(batch)
		work.Pause()
	}
	e.dropped.forget(func(name string) bool { _, err := c.Lookup(name); return err != nil })
	e.expect(e.clock.Now())
	e.resume()
}

// follow makes what is on disk follow the configuration, and with it the entries that
// have changed and stay.
func (e *Engine) follow(batch []*entry) {
	names := make([]string, len(batch))
	for i, en := range batch {
		names[i] = en.name
	}
	end, _ := e.locks.lock(context.Background(), names...)
	defer end()
	var unused []record.Record
	var freed []*entry
	for _, en := range batch {
		en.mu.Lock()
		deletion := record.Record{Table: record.Holds, Key: en.name}
		free := en.gone() == nil && e.followLocked(en)
		switch {
		case en.gone() != nil && en.policy().Pushed > 0:
			unused = append(unused, deletion) // the ticket is kept for as long as it lives: nobody can ask for it
		case en.gone() != nil:
			unused = append(append(unused, deletion), withoutValue(en.name)...)
		case free && en.written:
			unused, freed = append(unused, deletion), append(freed, en)
			en.noteNoRecord()
		}
		en.mu.Unlock()
	}
	if err := e.deleteRecords(unused); err != nil {
		e.log.Error("cannot delete the records of what is not configured any more", "error", err)
		for _, en := range freed {
			en.mu.Lock()
			en.noteRecord() // the next value that is written deletes it
			en.mu.Unlock()
		}
	}
}

// followLocked makes en follow the configuration in force, and reports whether it is held no
// more. en.mu is held.
func (e *Engine) followLocked(en *entry) (free bool) {
	spec, err := (*e.catalog.Load()).Lookup(en.name)
	if err != nil {
		e.dropLocked(en, unconfigured(en.name))
		return true
	}
	was := en.class.Load()
	if was.target != spec.Target {
		e.dropLocked(en, errChanged)
		return true
	}
	en.class.Store(e.classes.keep(was, &spec))
	switch {
	case en.hold == nil:
		return true
	case en.hold.settings == spec.Settings && !en.policy().PerAsk && !en.hold.operators(): // the limit of perAsk may have changed
		return false
	}
	e.applyLocked(en, holdDropped{}, e.clock.Now())
	return true
}

// Seed is a grant as the configuration gives it.
type Seed struct {
	Name  string
	Value secret.Text
}

// ApplySeeds puts the grants of the configuration in force where there are none yet, giveBatch of
// them in one write. A grant that was learned since is never overwritten; a grant that came from
// the configuration follows it.
func (e *Engine) ApplySeeds(ctx context.Context, seeds []Seed) error {
	var work *throttle.Work
	if e.isLoaded() { // else nobody is being answered yet
		work = e.cfg.Throttle.BeginUrgent(ctx)
		defer work.End()
	}
	for batch := range slices.Chunk(seeds, giveBatch) {
		amends := make([]*amendment, len(batch))
		for i, s := range batch {
			amends[i] = e.seeds(s)
		}
		if err := e.amend(ctx, amends...); err != nil {
			first := slices.IndexFunc(amends, func(a *amendment) bool { return a.err != nil })
			return fmt.Errorf("seed %s: %w", batch[first].Name, err)
		}
		work.Pause()
	}
	return nil
}

// seeds returns the amendment that puts s in force.
func (e *Engine) seeds(s Seed) *amendment {
	sum := sha256.Sum256([]byte("tokend seed\x00" + string(s.Value)))
	digest := hex.EncodeToString(sum[:8])
	kept := false
	a := &amendment{grant: s.Name}
	a.apply = func(g *record.Grant) bool {
		if g.Seed == digest {
			return false
		}
		g.Seed = digest
		kept = g.Value != "" && g.Source != fromConfig
		if a.frees = !kept; a.frees {
			now := e.clock.Time()
			readmit(g, record.Generation{Value: s.Value, At: now, Source: fromConfig}, now)
		}
		return true
	}
	a.then = func() {
		if kept {
			e.log.Warn("the configured grant is not used: a newer one has been learned", "name", s.Name)
			return
		}
		e.watchers.tell(credential.Listing{Name: s.Name, State: credential.Fresh})
	}
	return a
}
