package refresh

import (
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// loading is what load knows until all is read. A large platform's records are read in one pass, and
// nothing is kept of them that an entry does not need.
type loading struct {
	e      *Engine
	now    clock.Instant
	latest time.Time // no record has been written later than this, unless the wall clock was set

	values  []keptValue
	foreign []dated // values of another boot
	turned  bool    // a value was written later than latest
	errs    []error

	// usable are the hashes of the names of the grants that can be used, and of those that cannot be
	// read. Of a million names no two have the same, but for one case in 30 million.
	seed   maphash.Seed
	usable map[uint64]struct{}
}

// keptValue is a value that was kept. In a million of them there must be nothing that load does not need.
type keptValue struct {
	name    string
	c       *credential
	foreign bool // by another boot's clock
}

// readValues reads what was kept of values.
func (l *loading) readValues() {
	for r, err := range l.e.cfg.Store.All(record.Credentials) {
		var v record.Credential
		if err == nil {
			v, err = record.DecodeCredential(r)
		}
		if err != nil {
			l.errs = append(l.errs, fmt.Errorf("%s %s: %w", record.Credentials, r.Key, err))
			continue
		}
		foreign := v.Boot == "" || v.Boot != l.e.cfg.Boot
		l.values = append(l.values, keptValue{v.Name, l.e.kept(v), foreign})
		if v.Boot != l.e.cfg.Boot && l.e.cfg.Boot != "" {
			l.foreign = append(l.foreign, dated{record.Credentials, v.Name})
		}
		l.turned = l.turned || v.Issued.Wall.After(l.latest) || v.Seen.Wall.After(l.latest)
	}
}

// readGrants finds out which grants can be used.
func (l *loading) readGrants() {
	l.seed, l.usable = maphash.MakeSeed(), map[uint64]struct{}{}
	for r, err := range l.e.cfg.Store.All(record.Grants) {
		live := false
		if err == nil {
			live, err = record.LiveGrant(r)
		}
		// What lives by one that cannot be read is served to its end: it may be good.
		if live || err != nil {
			l.usable[maphash.String(l.seed, r.Key)] = struct{}{}
		}
	}
}

// loadValue takes over a value, and reports whether it is of no use.
func (l *loading) loadValue(v keptValue) (useless bool, err error) {
	if l.e.turned && v.foreign {
		v.c.end = min(v.c.end, l.now) // see Engine.kept
	}
	spec, err := l.e.lookup(v.name)
	if of, ok := errors.AsType[*Error](err); ok {
		return of.Reason == NotFound, nil
	}
	if err != nil {
		return false, err
	}
	if v.c.end <= l.now {
		switch p := spec.Kind.policy(); {
		case p.lapses:
			// Nobody has asked while it lived, or tokend was down: fetched when
			// somebody asks.
			return true, nil
		case l.e.turned && p.pushed == 0:
			// If WeChat answers it again it counts as met for the first time.
			return true, nil
		}
	}
	if _, ok := l.usable[maphash.String(l.seed, spec.Grant)]; !ok && spec.Grant != "" {
		return true, nil
	}
	if en := l.e.newEntry(&spec); l.e.index.add(en) == en {
		l.e.restore(en, v.c, l.now)
	}
	return false, nil
}
