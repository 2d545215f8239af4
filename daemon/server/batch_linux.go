package server

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server/epoll"
	"tokend/protocol"
)

// PUTs wait for the disk, and for hardly anything else. So an event loop does not lend each of
// their members: all PUTs of a round are a batch, which one goroutine passes to the engine at once.
// For the disk and for the loop, many PUTs cost little more than one.

// underway is how many batches are in progress at most while the disk is healthy: while one is
// being synced, the next are prepared, to be synced together. PUTs that arrive during that time
// form another batch. With four, 64 writers on one processor stored a tenth more than with two; six
// and eight were no better. A batch that has waited for lookAfter does not wait longer for a batch
// that hangs.
const underway = 4

// batches are the batches of a loop.
type batches struct {
	next     *batch        // is being filled; nil for none
	gathered time.Duration // since when next waits for others to end; 0 if it does not wait
	underway int
	spare    []*batch // to be reused

	// hands passes a batch to a goroutine that has finished another one: its stack has already
	// grown to the size that a batch needs.
	hands chan *batch

	// The loop's mu guards the fields below.
	idle int // goroutines that receive from hands, less the batches in it
	done []*batch
}

func newBatches() batches { return batches{hands: make(chan *batch, underway)} }

// batch is PUTs that are passed to the engine together. From run on, its members belong to the
// goroutine until it returns them, except for their wires.
type batch struct {
	loop     *loop
	ctx      context.Context
	cancel   context.CancelCauseFunc
	members  []*member
	deposits []credential.Deposit
	errs     []error // of each deposit; a nil slice after a panic

	here int // members whose peers have not closed; used by the loop
}

// gather adds m, whose session has a PUT as its job, to the next batch.
func (l *loop) gather(m *member) {
	if !m.wire.Watched() && !l.enlist(m, epoll.Readable) { // or a close of its peer would not be reported
		return
	}
	l.busy(m)
	b := l.batches.next
	if b == nil {
		b = l.newBatch()
		l.batches.next = b
	}
	m.batch, m.alarm.due, m.conn.deadline = b, 0, noDeadline
	b.members = append(b.members, m)
	b.deposits = append(b.deposits, m.session.takeJob().deposit)
	b.here++
}

func (l *loop) newBatch() *batch {
	b := new(batch)
	if n := len(l.batches.spare); n > 0 {
		b, l.batches.spare = l.batches.spare[n-1], l.batches.spare[:n-1]
	}
	b.loop = l
	b.ctx, b.cancel = context.WithCancelCause(l.ctx)
	return b
}

// dispatch starts the next batch, and reports whether it has. It is called at the end of each
// round.
func (l *loop) dispatch() bool {
	bs := &l.batches
	if bs.next == nil {
		return false
	}
	if bs.underway >= underway && !l.stopping {
		now := l.now()
		if bs.gathered == 0 {
			bs.gathered = now
		}
		if now < bs.gathered+lookAfter {
			return false
		}
	}
	b := bs.next
	bs.next, bs.gathered = nil, 0
	b.abandonIfGone()
	bs.underway++
	l.mu.Lock()
	waits := bs.idle > 0
	if waits {
		bs.idle--
	}
	l.mu.Unlock()
	if waits {
		bs.hands <- b
	} else {
		l.start(func() { l.work(b) })
	}
	return true
}

// work runs b and then further batches, until the loop has ended or enough other goroutines wait
// for batches.
func (l *loop) work(b *batch) {
	for more := true; more; {
		b.run()
		if !l.giveBack(b) {
			return
		}
		b, more = <-l.batches.hands
	}
}

// overdue returns when the next batch must not wait any longer; false if none waits.
func (bs *batches) overdue() (time.Duration, bool) { return bs.gathered + lookAfter, bs.gathered != 0 }

// eventInBatch handles an event of a member whose PUT waits. If its peer has sent more, that waits
// too. If its peer has closed, the PUT is no longer needed. If that is so of all members of a
// batch, the batch is given up.
func (l *loop) eventInBatch(m *member, events epoll.Events) {
	m.masked = true
	if !events.Closed() {
		_ = m.wire.Watch(epoll.Closed) // it cannot fail for a watched descriptor
		return
	}
	m.wire.Unwatch()
	m.batch.here--
	if m.batch != l.batches.next { // others may still join that
		m.batch.abandonIfGone()
	}
}

// run passes b to the engine.
func (b *batch) run() {
	defer func() {
		for _, m := range b.members {
			m.session.release()
		}
	}()
	defer b.loop.server.recover()
	if b.ctx.Err() != nil { // stopping: nothing new is started
		errs := make([]error, len(b.members))
		for i := range errs {
			errs[i] = b.ctx.Err()
		}
		b.note(errs)
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.loop.server.cfg.waitTimeout)
	defer cancel()
	b.note(b.loop.server.cfg.Engine.PutAll(ctx, b.deposits))
}

// note logs the result of each PUT, and prepares the replies of those that have failed.
func (b *batch) note(errs []error) {
	for i, m := range b.members {
		s := &m.session
		s.done(b.ctx, protocol.VerbPut, b.deposits[i].Name, errs[i])
		if errs[i] != nil && !b.abandoned() {
			s.fail(errs[i])
		}
	}
	b.errs = errs
}

// abandonIfGone abandons b if all its peers have closed. No member may be added afterwards.
func (b *batch) abandonIfGone() {
	if b.here == 0 {
		b.cancel(errGone)
	}
}

// abandoned reports whether all peers have closed.
func (b *batch) abandoned() bool { return errors.Is(context.Cause(b.ctx), errGone) }

// giveBack returns b to the loop, and reports whether the calling goroutine is to wait for another
// batch.
func (l *loop) giveBack(b *batch) (waits bool) {
	bs := &l.batches
	l.mu.Lock()
	bs.done = append(bs.done, b)
	first := len(bs.done) == 1
	if waits = bs.idle < underway; waits {
		bs.idle++
	}
	l.mu.Unlock()
	if first {
		l.poll.Wake()
	}
	return waits
}

// takeBatches answers the batches that have been returned.
func (l *loop) takeBatches() {
	l.mu.Lock()
	all := l.batches.done
	l.batches.done = nil
	l.mu.Unlock()
	for _, b := range all {
		l.batches.underway--
		for i, m := range b.members {
			m.batch = nil
			switch {
			case b.errs == nil:
				l.end(m, errBroken)
			case b.abandoned():
				l.end(m, nil)
			default:
				l.guard(m, l.conclude)
			}
			b.members[i], b.deposits[i] = nil, credential.Deposit{}
		}
		b.cancel(nil)
		*b = batch{members: b.members[:0], deposits: b.deposits[:0]}
		if len(l.batches.spare) < underway {
			l.batches.spare = append(l.batches.spare, b)
		}
	}
}

// conclude answers m's PUT, and continues with the requests behind it.
func (l *loop) conclude(m *member) {
	if m.masked && m.wire.Watched() {
		if !l.enlist(m, epoll.Readable) {
			return
		}
	}
	m.masked = false
	refusal := m.session.out
	m.session.out = l.out[:0]
	if refusal != nil {
		m.session.out = append(m.session.out, refusal...)
	} else {
		m.session.out = m.session.codec.ok(m.session.out)
	}
	fd := m.wire.Descriptor()
	l.proceed(m, m.conn.in.bytes())
	if l.stopping && l.members[fd] == m && !m.lent && !m.paused && m.batch == nil { // stopping
		l.end(m, nil)
	}
}
