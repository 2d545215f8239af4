package store

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// Badger syncs each transaction by itself, so that many small ones wait in line for
// the disk. Here one goroutine takes all that have come while the last commit was
// under way into the next: a Put alone is not delayed, and 64 at once
// cost one sync.

// queueLength is how many Puts may wait without blocking in the channel; those beyond
// wait in line to be queued.
const queueLength = 256

// yields is how often the processor is yielded before a group is taken to be whole: once for who
// brings a request to be handed on, once for whom it is handed to.
const yields = 2

// entryRoom is what Badger counts for an entry beyond its key and value: two
// bytes of meta data and ten for the version; and what sealing adds, nine bytes of format and
// number, a nonce and a tag. A little more, to be safe.
const entryRoom = 16 + prefixSize + 28

// put is one call of Put on its way through the committer.
type put struct {
	// entries are the records with their values sealed, but for those that are
	// numbered: the number is the committer's to give.
	entries []entry
	bytes   int
	at      int // where entries begin in the group

	// kept is all the records as the journal takes them; nil if none of them
	// is irreplaceable. Its values are the caller's.
	kept []journal.Record

	state atomic.Uint32 // queued, then taken by the committer or abandoned by the caller
	done  chan error    // receives one result after the put was taken
}

const (
	queued uint32 = iota
	taken
	abandoned
)

// Put makes all of recs durable, or none of them, before it returns. A nil
// Value deletes. ctx counts while the Put waits for its turn; once the
// commit has begun, its result is returned. After ErrDiskFull, ErrTooLarge, ErrClosed or
// an error of ctx nothing was written; after ErrFailed it is not known. Values are
// not kept after Put returns.
//
// A Put with an irreplaceable record is written to the journal first, whole, and succeeds if the
// journal or the database takes it: the database follows the journal soon, and the other way about
// as soon as the disk permits.
func (s *Store) Put(ctx context.Context, recs ...record.Record) error {
	p, err := s.newPut(recs)
	if err != nil {
		return err
	}
	if len(p.entries) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- p:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.stopped:
		err = ErrClosed
	}
	if p.state.CompareAndSwap(queued, abandoned) {
		return err
	}
	return <-p.done
}

// newPut seals recs, in the caller's goroutine so that many seal at once.
func (s *Store) newPut(recs []record.Record) (*put, error) {
	p := &put{entries: make([]entry, 0, len(recs)), done: make(chan error, 1)}
	for _, r := range recs {
		if r.Table == "" || r.Key == "" || strings.IndexByte(string(r.Table), 0) >= 0 {
			return nil, fmt.Errorf("store: malformed key %q in table %q", r.Key, r.Table)
		}
		e := entry{key: recordKey(r.Table, r.Key)}
		if len(e.key) > MaxKey || len(r.Value) > MaxValue {
			return nil, fmt.Errorf("%s %.64q: %w", r.Table, r.Key, ErrTooLarge)
		}
		lasting := r.Table.Irreplaceable()
		if r.Value != nil && !lasting {
			e.value = s.sealer.seal(e.key, r.Value)
		}
		if lasting && p.kept == nil {
			p.kept = make([]journal.Record, 0, len(recs))
		}
		p.entries = append(p.entries, e)
		p.bytes += len(e.key) + len(r.Value) + entryRoom
	}
	if p.kept != nil {
		for i, r := range recs {
			p.kept = append(p.kept, journal.Record{Key: p.entries[i].key, Value: r.Value})
		}
	}
	if p.bytes > s.maxBytes || len(p.entries) > s.maxCount {
		return nil, fmt.Errorf("%d records of %d bytes at once: %w", len(p.entries), p.bytes, ErrTooLarge)
	}
	return p, nil
}

// commits is the committer: it runs until Close.
func (s *Store) commits() {
	defer close(s.stopped)
	defer s.trail.stop()
	defer func() { _ = s.awaitDrain() }() // what stands against it has been said, and stays pending
	if s.agreed() != nil {
		return
	}
	var next *put // taken from the queue, but too large for the group before
	for {
		if next == nil {
			select {
			case next = <-s.queue:
			case <-s.retry:
				_ = s.drain() // what stands against it has been said, and stays pending
				continue
			case <-s.trail.timer.C:
				s.due()
				continue
			case err := <-s.drained():
				if s.endDrain(err) == nil {
					s.follow()
				}
				continue
			case <-s.closing:
				return
			}
		}
		var g group
		next = s.gather(&g, next)
		if len(g.puts) > 0 {
			s.commit(&g)
		}
	}
}

// group is what goes into one transaction.
type group struct {
	puts    []*put
	entries []entry
	bytes   int
}

// sealed returns the entries of g as s stores them in the commit of a number.
func (g *group) sealed(s sealer, number uint64) []entry {
	for _, p := range g.puts {
		for i, r := range p.kept {
			if r.Value != nil && tableOf(r.Key).Irreplaceable() {
				g.entries[p.at+i].value = s.sealNumbered(r.Key, r.Value, number)
			}
		}
	}
	return g.entries
}

// done tells those who wait: kept is the result of those of whom the journal has all, err of the
// others.
func (g *group) done(kept, err error) {
	for _, p := range g.puts {
		if p.kept != nil {
			p.done <- kept
		} else {
			p.done <- err
		}
	}
}

// gather fills g with first and all that waits behind it. It returns the put that
// found no room, or nil.
func (s *Store) gather(g *group, first *put) *put {
	for p := first; ; {
		if len(g.puts) > 0 && (g.bytes+p.bytes > s.maxBytes || len(g.entries)+len(p.entries) > s.maxCount) {
			return p
		}
		if p.state.CompareAndSwap(queued, taken) {
			p.at = len(g.entries)
			g.puts = append(g.puts, p)
			g.entries = append(g.entries, p.entries...)
			g.bytes += p.bytes
		}
		if p = s.following(); p == nil {
			return nil
		}
	}
}

// following returns the next put of those that wait or are about to; nil where there is none. Who
// is about to has been woken already, by the request that it brings or by the end of the commit
// before, and wants but the processor: it gets it now, since a commit costs nearly the same for one
// and for many. Where nobody else has anything to do, that takes less than a microsecond.
func (s *Store) following() *put {
	for range yields {
		select {
		case p := <-s.queue:
			return p
		default:
			runtime.Gosched()
		}
	}
	select {
	case p := <-s.queue:
		return p
	default:
		return nil
	}
}
