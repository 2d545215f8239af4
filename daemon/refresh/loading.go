package refresh

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// loading is the way of the values from the store into entries. It goes on in two goroutines, because
// nothing is answered before it is done: the one reads, the other makes entries of what it is handed. A
// large platform's records are read in one pass, and nothing is kept of them that an entry does not
// need.
type loading struct {
	e     *Engine
	now   clock.Instant
	limit time.Time // no record has been written later than this, unless the wall clock was set
	read  chan []keptValue

	// The reader's, until it has ended.
	turned  bool    // a value was written later than limit
	foreign []dated // what was written in another boot
	errs    []error

	// The maker's, until it has ended. usable are the hashes of the names of the grants that can be
	// used, and of those that cannot be read. Of a million names no two have the same, but for one
	// case in 30 million.
	seed    maphash.Seed
	usable  map[uint64]struct{}
	useless []record.Record
	faults  []error
}

// keptValue is a value that was kept.
type keptValue struct {
	name string
	c    *credential
}

const (
	// handful is how many values the reader hands over at a time.
	handful = 512

	// ahead is how many handfuls it may be ahead: it begins while the grants are still being read, and what
	// waits is what there will be in entries anyway.
	ahead = 1024
)

// readValues makes an entry of every value that was kept and is of use. limit is about now.
func (e *Engine) readValues(limit time.Time) *loading {
	l := &loading{e: e, now: e.clock.Now(), limit: limit, read: make(chan []keptValue, ahead)}
	var making sync.WaitGroup
	making.Go(l.make)
	l.readAll()
	making.Wait()
	l.errs = append(l.errs, l.faults...)
	return l
}

// readAll hands over what the store has kept of values.
func (l *loading) readAll() {
	defer close(l.read)
	var next []keptValue
	for r, err := range l.e.cfg.Store.All(record.Credentials) {
		var v record.Credential
		if err == nil {
			v, err = record.DecodeCredential(r)
		}
		if err != nil {
			l.errs = append(l.errs, fmt.Errorf("%s %s: %w", record.Credentials, r.Key, err))
			continue
		}
		if v.Boot != l.e.cfg.Boot && l.e.cfg.Boot != "" {
			l.foreign = append(l.foreign, dated{record.Credentials, v.Name})
		}
		l.turned = l.turned || v.Issued.Wall.After(l.limit) || v.Seen.Wall.After(l.limit)
		if next == nil {
			next = make([]keptValue, 0, handful)
		}
		if next = append(next, keptValue{v.Name, l.e.kept(v)}); len(next) == handful {
			l.read <- next
			next = nil
		}
	}
	l.read <- next
}

// make makes entries of what is handed over.
func (l *loading) make() {
	l.readGrants()
	for values := range l.read {
		for _, v := range values {
			useless, err := l.loadValue(v)
			if err != nil {
				l.faults = append(l.faults, err)
			} else if useless {
				l.useless = append(l.useless, record.Record{Table: record.Credentials, Key: v.name})
			}
		}
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
