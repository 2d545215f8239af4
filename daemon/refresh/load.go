package refresh

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/daemon/throttle"
)

// load makes an entry of everything that the store has kept and the catalog knows, and reports
// whether that was completed before ctx ended. What cannot be read is logged and left out. Readers
// may make entries during that; see early.
func (e *Engine) load(ctx context.Context) (whole bool) {
	began := e.clock.Now()
	holds, errs := readTable(e.cfg.Store, record.Holds, record.DecodeHold)
	budgets, berrs := readTable(e.cfg.Store, record.Budgets, record.DecodeBudget)
	limit := e.clock.Time().Add(slack)
	e.turned = e.cfg.Peers == nil && turnedBack(limit, holds, budgets) // the clocks of other hosts may be ahead
	l := e.readValues(ctx, limit)
	if ctx.Err() != nil {
		return false
	}
	e.turned = e.turned || e.cfg.Peers == nil && l.turned
	if e.turned {
		e.log.Warn("the wall clock is earlier than the newest record: every value is fetched again")
	}
	l.decide()
	errs = slices.Concat(l.errs, errs, berrs)
	e.unused = unusedRecords{values: l.useless, budgets: e.loadBudgets(budgets)}
	for _, r := range l.misleading {
		e.unused.others = append(e.unused.others, r.Key)
	}
	for _, h := range holds {
		if e.loadHold(h) {
			e.unused.holds = append(e.unused.holds, h.Name)
		}
	}
	e.earlyReads.shut()
	n := e.planLoaded()
	e.otherBoot = append(l.otherBoot, e.ofOtherBoot(holds, budgets)...)
	if err := e.deleteMisleading(l.misleading); err != nil {
		errs = append(errs, err)
	}
	for _, err := range errs {
		e.log.Error("cannot read a record: it is left out and fetched again", "error", err)
	}
	e.loadSpent()
	e.followEarly()
	close(e.loaded)
	if e.cfg.Ahead {
		e.log.Info("loaded", "credentials", n, "took", e.clock.Now().Sub(began).Round(time.Millisecond))
	}
	return true
}

// deleteMisleading deletes records that the next start must not find, and with them the note that
// the store was made of a backup.
func (e *Engine) deleteMisleading(misleading []record.Record) error {
	if e.restored {
		e.log.Info("a backup was restored: tokens that WeChat may have replaced since then are fetched again", "tokens", len(misleading))
	}
	err := e.deleteRecords(misleading)
	if err != nil || !e.restored {
		return err
	}
	return e.deleteRecords([]record.Record{{Table: record.Keys, Key: record.Restored}})
}

// planLoaded makes what was loaded due, and returns how many credentials that are.
func (e *Engine) planLoaded() int {
	now := e.clock.Now()
	entries := e.index.all()
	e.schedule.grow(len(entries))
	for _, en := range entries {
		en.mu.Lock()
		e.applyLocked(en, timePassed{}, now)
		e.sleepLoadedLocked(en, now)
		en.mu.Unlock()
	}
	e.expect(now)
	return len(entries)
}

// readTable returns the records of table, decoded, and what could not be.
func readTable[T any](store Store, table record.Table, decode func(record.Record) (T, error)) (ts []T, errs []error) {
	for r, err := range store.All(table) {
		var t T
		if err == nil {
			t, err = decode(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", table, r.Key, err))
			continue
		}
		ts = append(ts, t)
	}
	return ts, errs
}

// loadBudgets takes over what was spent, and returns the keys of what counts no more.
func (e *Engine) loadBudgets(budgets []record.Budget) (useless []string) {
	spent := make(map[string]quota.Tally, len(budgets))
	for _, b := range budgets {
		if t := e.keptTally(b); len(t.Slices) > 0 {
			spent[b.Key] = t
			continue
		}
		useless = append(useless, b.Key)
	}
	e.ledger.Restore(spent)
	return useless
}

// loadHold takes over a hold, and reports whether its record is unused.
func (e *Engine) loadHold(h record.Hold) (useless bool) {
	if endpointOwner(h.Name) != "" {
		return e.loadEndpoint(h)
	}
	spec, err := (*e.catalog.Load()).Lookup(h.Name)
	if err != nil || spec.Settings != h.Settings || spec.Policy.PerAsk {
		return true
	}
	if p := spec.Policy; p.Lapses && !p.Configured && e.index.get(h.Name) == nil {
		return false // read when somebody asks; see inherit
	}
	en, err := e.entry(h.Name)
	if err != nil {
		return true
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	en.resume(e.resumed(h, &spec))
	return false
}

// loading makes entries of the stored values. It runs in two goroutines,
// because much waits for it: the one reads, the other makes entries of what it is handed. A large
// platform's records are read in one pass, and nothing is kept of them that an entry does not need.
// An entry is served as soon as it is made, so none is that might have to be taken back.
type loading struct {
	e     *Engine
	ctx   context.Context
	now   clock.Instant
	limit time.Time // no record has been written later than this, unless the wall clock was set
	read  chan []keptValue

	// The reader's, until it has ended.
	turned    bool    // a value was written later than limit
	otherBoot []dated // what was written in another boot
	errs      []error

	// The maker's, until it has ended. usable are the hashes of the names of the grants that can be
	// used, and of those that cannot be read. Of a million names no two have the same, but for one
	// case in 30 million. open are the values that cannot be judged before all are read.
	seed       maphash.Seed
	usable     map[uint64]struct{}
	open       []keptValue
	useless    []string        // keys of values that have ended
	misleading []record.Record // that must not be found again
	faults     []error
}

// keptValue is a value that was kept.
type keptValue struct {
	name    string
	target  string
	c       *cached
	doubted bool // it is only as alive as the wall clock is right
}

const (
	// loadBatch is how many values the reader hands over at a time. After each, those who wait for
	// a processor get it: a reader waits for a millisecond at most.
	loadBatch = 512

	// loadAhead is how many handfuls it may be ahead: it begins while the grants are still being
	// read, and what waits is what there will be in entries anyway.
	loadAhead = 64
)

// readValues makes an entry of every stored value that is needed, but for those that decide
// judges. limit is about now. When ctx ends it stops where it is.
func (e *Engine) readValues(ctx context.Context, limit time.Time) *loading {
	l := &loading{e: e, ctx: ctx, now: e.clock.Now(), limit: limit, read: make(chan []keptValue, loadAhead)}
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
		doubted := l.e.doubts(v)
		datable := !doubted || l.e.cfg.Peers == nil // else the peers may know its boot later
		if boot := l.e.cfg.Boot; boot != "" && v.Boot != boot && datable {
			l.otherBoot = append(l.otherBoot, dated{record.Credentials, v.Name})
		}
		l.turned = l.turned || v.Issued.Wall.After(l.limit) || v.Seen.Wall.After(l.limit)
		if next == nil {
			next = make([]keptValue, 0, loadBatch)
		}
		if next = append(next, keptValue{v.Name, v.Target, l.e.alike(l.e.kept(v)), doubted}); len(next) < loadBatch {
			continue
		}
		if !l.pause() {
			return
		}
		l.read <- next
		next = nil
	}
	l.read <- next
}

// pause lets others have the processor, and reports whether the loading continues.
func (l *loading) pause() bool {
	throttle.Yield()
	return l.ctx.Err() == nil
}

// make makes entries of what is handed over.
func (l *loading) make() {
	l.readGrants()
	for values := range l.read {
		if !l.pause() {
			continue // to the end, for the reader's sake
		}
		for _, v := range values {
			l.take(v, false)
		}
	}
}

// decide judges what was left open, when it is known whether the wall clock was turned back.
func (l *loading) decide() {
	for _, v := range l.open {
		if v.doubted && l.e.turned {
			v.c.end = min(v.c.end, l.now)
		}
		l.take(v, true)
	}
	l.open = nil
}

// readGrants finds out which grants can be used.
func (l *loading) readGrants() {
	l.seed, l.usable = maphash.MakeSeed(), map[uint64]struct{}{}
	n := 0
	for r, err := range l.e.cfg.Store.All(record.Grants) {
		live := false
		if err == nil {
			live, err = record.LiveGrant(r)
		}
		// The values of an unreadable grant are served until they expire: it may be good.
		if live || err != nil {
			l.usable[maphash.String(l.seed, r.Key)] = struct{}{}
		}
		if n++; n%loadBatch == 0 && !l.pause() {
			return
		}
	}
}

// take takes over a value, or notes that its record is unused, or that it cannot be judged yet.
// turned: it is known whether the wall clock was turned back.
func (l *loading) take(v keptValue, turned bool) {
	spec, err := l.e.lookup(v.name)
	if err != nil {
		if of, ok := errors.AsType[*credential.Error](err); !ok {
			l.faults = append(l.faults, err)
		} else if of.Reason == credential.NotFound && (v.c.end <= l.now || v.c.pushed == nil && l.e.cfg.Peers == nil) {
			l.discard(v) // else it is there again with its account, or it is other hosts': see inheritValue
		}
		return
	}
	if _, ok := l.usable[maphash.String(l.seed, spec.Grant)]; !ok && spec.Grant != "" {
		l.discard(v)
		return
	}
	if v.target != spec.Target && l.e.cfg.Peers != nil {
		return // other hosts'
	}
	if v.target != spec.Target || l.e.maybeDead(&spec) {
		l.misleading = append(l.misleading, record.Record{Table: record.Credentials, Key: v.name})
		return
	}
	if v.c.end > l.now && (turned || !v.doubted) {
		if p := spec.Policy; l.e.cfg.Peers == nil || !p.Lapses || p.Configured {
			l.e.admit(&spec, v.c)
		} // else it may be a customer of other hosts: read when somebody asks, see inherit
		return
	}
	switch p := spec.Policy; {
	case !v.doubted && p.Lapses, turned && p.Lapses:
		// Nobody has asked while it lived, or tokend was down: fetched when
		// somebody asks.
		l.discard(v)
	case !turned:
		l.open = append(l.open, v)
	case l.e.turned && p.Pushed == 0:
		// If WeChat answers it again it counts as met for the first time.
		l.discard(v)
	default:
		l.e.admit(&spec, v.c)
	}
}

// maybeDead reports whether the stored value of spec may be dead before its expiry. The store was
// made of a backup, and a later fetch may have ended the value. Peers replace what is older than
// theirs.
func (e *Engine) maybeDead(spec *Spec) bool {
	return e.restored && spec.Policy.Rotates && (e.cfg.Peers == nil || e.cfg.Peers.Confirmed() == 0)
}

// discard notes that the record of v is unused. If v has ended it stays so, and the record is
// deleted in time. Records that would mislead the next start, if this run is killed first, are
// deleted before any request is answered. These are values that have not expired and must not be
// served, and values that are doubted because of the wall clock. Tickets of accounts that are not
// configured are among them, because no entry shows whether they are current.
func (l *loading) discard(v keptValue) {
	if v.c.end > l.now || v.doubted && l.e.turned || v.c.pushed != nil {
		l.misleading = append(l.misleading, record.Record{Table: record.Credentials, Key: v.name})
		return
	}
	l.useless = append(l.useless, v.name)
}
