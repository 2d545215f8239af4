package refresh

import "tokend/daemon/record"

// inherit prepares the entry of a credential that lapses: a hold that was kept holds. Without a
// customer's grant none is made, so that made-up names cost no memory. A pushed ticket is what was
// kept of it.
func (e *Engine) inherit(en *entry, spec *Spec) error {
	if spec.Kind.policy().pushed > 0 {
		e.inheritTicket(en)
	}
	if spec.Grant != "" {
		if _, err := e.live(spec.Grant); err != nil {
			return err
		}
	} else if !spec.Kind.policy().lapses {
		return nil
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

// confirm ends h, which en has inherited, if its record is gone: a grant that was given between the
// reading of the record and the making of the entry has ended it, and did not find the entry.
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
	e.applyLocked(en, freed{}, e.clock.Now())
}
