package refresh

import "tokend/daemon/record"

// This file makes entries: of a credential that is requested for the first time, and of a stored
// value.

// entry returns the entry of name and makes it if the catalog knows the name.
func (e *Engine) entry(name string) (*entry, error) {
	if en := e.index.get(name); en != nil {
		return en, nil
	}
	catalog := e.catalog.Load()
	spec, err := (*catalog).Lookup(name)
	if err != nil {
		return nil, err
	}
	if spec.Policy.Grant {
		return nil, writeOnly()
	}
	made := e.newEntry(&spec)
	if err := e.inherit(made, &spec); err != nil {
		return nil, err
	}
	h, c := made.hold, made.current.Load()
	en := e.introduce(made, &spec, catalog)
	if en == made && h != nil {
		e.confirm(en, h)
	}
	if en == made && e.cfg.Peers != nil {
		e.confirmValue(en, c)
	}
	return en, nil
}

// introduce returns the entry of made's name in the index: made, unless there is one. spec is as
// catalog says.
func (e *Engine) introduce(made *entry, spec *Spec, catalog *Catalog) *entry {
	made.mu.Lock() // nobody gets its value before the readers are counted as before
	en := e.index.add(made)
	if en != made {
		made.mu.Unlock()
		en.mu.Lock()
	}
	defer en.mu.Unlock()
	if en == made {
		if en.sleepsLocked() {
			e.sleepers.add(spec.Parent, en)
		}
		e.tellLocked(en, e.clock.Now(), false)
	}
	if e.catalog.Load() != catalog {
		// The configuration changed in between, and the change may have
		// missed this entry.
		e.followLocked(en)
	}
	if en == made && en.gone() == nil {
		e.dropped.restore(en)
	}
	return en
}

func (e *Engine) newEntry(spec *Spec) *entry {
	en := &entry{name: spec.Name}
	en.class.Store(e.classes.of(spec))
	return en
}

// inherit prepares the entry of a credential that lapses: a hold that was kept holds. Without a
// customer's grant none is made, so that made-up names cost no memory. A pushed ticket is what was
// kept of it, and so is everything that another host may have fetched.
func (e *Engine) inherit(en *entry, spec *Spec) error {
	if spec.Policy.Pushed > 0 {
		e.inheritValue(en, spec)
	}
	if spec.Grant != "" {
		if _, err := e.live(spec.Grant); err != nil {
			return err
		}
	} else if !spec.Policy.Lapses && e.cfg.Peers == nil {
		return nil
	}
	if e.cfg.Peers != nil && spec.Policy.Pushed == 0 && !spec.Policy.PerAsk {
		e.inheritValue(en, spec) // of another host
	}
	r, err := e.cfg.Store.Get(record.Holds, spec.Name)
	if err == nil && r.Value == nil {
		return nil
	}
	en.noteRecord()
	var h record.Hold
	if err == nil {
		h, err = record.DecodeHold(r)
	}
	if err != nil {
		e.log.Error("cannot read a hold: WeChat is asked again", "name", spec.Name, "error", err)
		return nil
	}
	if h.Settings == spec.Settings {
		en.resume(e.resumed(h, spec))
	}
	return nil
}

// inheritValue gives en, which nobody else has yet, the value that was kept while it had no entry,
// if it lives.
func (e *Engine) inheritValue(en *entry, spec *Spec) {
	c, err := e.storedValue(spec)
	if err != nil {
		e.log.Error("cannot read a value: the next one is waited for", "name", en.name, "error", err)
		return
	}
	if c != nil && c.end > e.clock.Now() {
		e.restore(en, c)
	}
}

// storedValue returns the value of spec that is stored; nil if there is none, or if it must not be
// served.
func (e *Engine) storedValue(spec *Spec) (*cached, error) {
	r, err := e.cfg.Store.Get(record.Credentials, spec.Name)
	if err != nil || r.Value == nil {
		return nil, err
	}
	v, err := record.DecodeCredential(r)
	if err != nil || v.Target != spec.Target || e.maybeDead(spec) {
		return nil, err
	}
	return e.alike(e.kept(v)), nil
}

// restore gives en, which nobody else has yet, the value c that was kept.
func (e *Engine) restore(en *entry, c *cached) {
	en.restore(c, e.clock.Now(), e.shift(en.name, atMostQuarter(en.policy().Lead, c.life)))
}

// confirmValue plans the refresh of c, which en has inherited, nil for none. A value that has been
// followed after c was read, and before the entry was made, has not found the entry. Nor has a
// grant that has ended c: it has deleted the record.
func (e *Engine) confirmValue(en *entry, c *cached) {
	spec, err := e.lookup(en.name)
	if err != nil {
		return
	}
	stored, err := e.storedValue(&spec)
	if err == nil && stored != nil && stored.end > e.clock.Now() && en.current.Load() == c {
		e.followValue(en, stored)
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	ev := event(timePassed{})
	if c != nil && err == nil && stored == nil && spec.Grant != "" && en.current.Load() == c {
		ev = grantReplaced{}
	}
	e.applyLocked(en, ev, e.clock.Now())
}

// confirm ends h, which en has inherited, if its record is gone. A grant that came after the record
// was read, and before the entry was made, has ended h and did not find the entry.
func (e *Engine) confirm(en *entry, h *hold) {
	r, err := e.cfg.Store.Get(record.Holds, en.name)
	if err != nil || r.Value != nil {
		return
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.hold != h {
		return
	}
	en.noteNoRecord()
	e.applyLocked(en, holdDropped{}, e.clock.Now())
}

// admit returns the entry of spec. It makes one with the value c if there is none: the loading or
// an early reader may be first.
func (e *Engine) admit(spec *Spec, c *cached) *entry {
	en := e.newEntry(spec)
	e.restore(en, c)
	return e.index.add(en)
}
