package store

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// Badger syncs each transaction separately, so many small ones queue for the disk. The committer
// instead puts everything that arrived during the last commit into the next one. A single Put is
// not delayed, and 64 concurrent Puts cost one sync.

// queueLength is the buffer of the queue. Further Puts block until they are queued.
const queueLength = 256

// yields is how often the committer yields the processor before it closes a group: once for the
// goroutine that receives a request, once for its handler.
const yields = 2

// entryOverhead is Badger's count for an entry beyond key and value, plus the overhead of sealing,
// rounded up. Badger counts two bytes of metadata and ten of version. Sealing adds nine bytes of
// format and number, a nonce and a tag.
const entryOverhead = 16 + prefixSize + 28

// put is one call of Put on its way through the committer.
type put struct {
	// entries are the sealed records. Numbered ones are not sealed yet, because the committer
	// assigns the number.
	entries []entry
	bytes   int
	at      int // index of its first entry in the group

	// kept is all records for the journal, or nil if none of them is irreplaceable. Its values
	// belong to the caller.
	kept []journal.Record

	copies bool // the database need not be synced for it

	state atomic.Uint32 // queued, then taken by the committer or abandoned by the caller
	done  chan error    // receives one result once taken
}

const (
	queued uint32 = iota
	taken
	abandoned
)

// Put makes all of recs durable, or none of them, before it returns. A nil Value deletes. ctx
// applies while the Put waits in the queue. Once the commit has begun, Put returns the commit's
// result. After ErrDiskFull, ErrTooLarge, ErrClosed or an error of ctx, nothing was written. After
// ErrFailed the outcome is unknown. Put does not keep values.
//
// A Put with an irreplaceable record is written to the journal first, as a whole. It succeeds if
// the journal or the database takes it. The other one follows: the database soon, the journal as
// soon as the disk permits.
func (s *Store) Put(ctx context.Context, recs ...record.Record) error {
	p, err := s.newPut(recs)
	if err != nil {
		return err
	}
	return s.submit(ctx, p)
}

// Copy is Put for records that the caller can get again, such as copies of another store's. It does
// not wait for the disk: a power cut may undo the last Copies. A Put without irreplaceable records
// makes all earlier Copies durable before it returns. A power cut during that Put may keep its
// records and undo Copies. A Copy with an irreplaceable record is a Put.
func (s *Store) Copy(ctx context.Context, recs ...record.Record) error {
	p, err := s.newPut(recs)
	if err != nil {
		return err
	}
	p.copies = p.kept == nil
	return s.submit(ctx, p)
}

// submit passes p to the committer and returns the result.
func (s *Store) submit(ctx context.Context, p *put) error {
	if len(p.entries) == 0 {
		return nil
	}
	err := ctx.Err()
	if err != nil {
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

// newPut seals recs in the caller's goroutine, so that sealing is concurrent.
func (s *Store) newPut(recs []record.Record) (*put, error) {
	p := &put{entries: make([]entry, 0, len(recs)), done: make(chan error, 1)}
	recs = withRevisions(recs)
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
		p.bytes += len(e.key) + len(r.Value) + entryOverhead
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

// commits is the committer. It runs until Close.
func (s *Store) commits() {
	defer close(s.stopped)
	defer s.drainTimer.stop()
	defer func() { _ = s.awaitDrain() }() // a failure has been logged, and the records stay pending
	if s.agreed() != nil {
		return
	}
	var next *put // taken from the queue but too large for the previous group
	for {
		if next == nil {
			select {
			case next = <-s.queue:
			case <-s.retry:
				_ = s.drain() // a failure has been logged, and the records stay pending
				continue
			case <-s.drainTimer.timer.C:
				s.startDrain()
				continue
			case err := <-s.drained():
				if s.endDrain(err) == nil {
					s.scheduleDrain()
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

// group is the content of one commit.
type group struct {
	puts    []*put
	entries []entry
	bytes   int
}

// copies reports whether no Put of g waits for the disk.
func (g *group) copies() bool {
	return !slices.ContainsFunc(g.puts, func(p *put) bool { return !p.copies })
}

// sealed returns the entries of g in stored form, with the commit number.
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

// done reports the results to the callers: kept to Puts that the journal has, err to the others.
func (g *group) done(kept, err error) {
	for _, p := range g.puts {
		if p.kept != nil {
			p.done <- kept
		} else {
			p.done <- err
		}
	}
}

// gather fills g with first and the Puts queued behind it. It returns the Put that did not fit, or
// nil.
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

// following returns the next Put that is queued or about to be, or nil. A Put is about to be queued
// if its goroutine is runnable: its request has arrived, or the previous commit has just ended. The
// committer yields to it, because a commit for many costs nearly the same as for one. If no other
// goroutine is runnable, that takes less than a microsecond.
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
