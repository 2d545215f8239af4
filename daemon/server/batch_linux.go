package server

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server/epoll"
	"tokend/protocol"
)

// PUTs wait for the disk, and for hardly anything else. So an event loop does not lend their
// members one by one: all PUTs that have come in a turn are a batch, which one goroutine hands to
// the engine at once and gives back at once. To the disk many cost little more than one, and so
// they do to the loop.

// underway is how many batches there are at most as long as the disk is in order: while one is
// being synced, the next are made ready, to be synced together. Those that come meanwhile gather.
// With four, 64 writers on one processor had a tenth more done than with two, with six or eight no
// more than with four. Whoever has gathered for lookAfter is not kept waiting for a batch that
// hangs.
const underway = 4

// batches are those of a loop.
type batches struct {
	next     *batch        // gathers; nil for none
	gathered time.Duration // since when next could have gone but for those under way; 0 where it does not wait
	underway int
	spare    []*batch // to be used again

	// hands takes a batch to a goroutine that has no other: its stack has grown to what a batch
	// needs already.
	hands chan *batch

	// Guarded by the loop's mu.
	idle int // goroutines that wait for hands, and have nothing in it
	done []*batch
}

func newBatches() batches { return batches{hands: make(chan *batch, underway)} }

// batch is PUTs that go to the engine together. Its members are the goroutine's from run on, until
// they are given back; but for their wires, of which the goroutine knows nothing.
type batch struct {
	loop     *loop
	ctx      context.Context
	cancel   context.CancelCauseFunc
	members  []*member
	deposits []credential.Deposit
	errs     []error // what has become of each; nil by a fault of tokend's

	here int // members whose peers are not known to have gone; the loop's
}

// gather takes m, whose session wants to wait for a PUT, into the batch that goes next.
func (l *loop) gather(m *member) {
	if !m.wire.Watched() && !l.enlist(m, epoll.Readable) { // or nobody would hear of its going
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

// dispatch has a goroutine do what has gathered, and reports whether it has. It is called at the
// end of each turn.
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
	b.desert()
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

// work does b, and what it is handed then, until the loop has ended or as many as are underway wait
// to be handed one.
func (l *loop) work(b *batch) {
	for more := true; more; {
		b.run()
		if !l.giveBack(b) {
			return
		}
		b, more = <-l.batches.hands
	}
}

// overdue returns when what has gathered is not to wait any longer; false where nothing waits.
func (bs *batches) overdue() (time.Duration, bool) { return bs.gathered + lookAfter, bs.gathered != 0 }

// disturbed is what becomes of an event of a member whose PUT waits. If its peer has sent more,
// that can wait. If it has gone, nobody waits for the PUT any more; and where that is so of all in
// its batch, the batch gives up too.
func (l *loop) disturbed(m *member, events epoll.Events) {
	m.masked = true
	if !events.Closed() {
		_ = m.wire.Watch(epoll.Closed) // it cannot fail, since the poller knows of it
		return
	}
	m.wire.Unwatch()
	m.batch.here--
	if m.batch != l.batches.next { // to which others may come yet
		m.batch.desert()
	}
}

// run hands b to the engine.
func (b *batch) run() {
	defer func() {
		for _, m := range b.members {
			m.session.letGo()
		}
	}()
	defer b.loop.server.recover()
	if b.ctx.Err() != nil { // stopping: nothing is begun that nobody will wait for
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

// note notes what has become of each PUT, and prepares the answers to those that have failed. Both
// may write to a log.
func (b *batch) note(errs []error) {
	for i, m := range b.members {
		s := &m.session
		s.done(b.ctx, protocol.VerbPut, b.deposits[i].Name, errs[i])
		if errs[i] != nil && !b.deserted() {
			s.fail(errs[i])
		}
	}
	b.errs = errs
}

// desert has b given up if all peers have gone. Nobody may come to b any more: they would be taken
// for gone too.
func (b *batch) desert() {
	if b.here == 0 {
		b.cancel(errGone)
	}
}

// deserted reports whether all peers have gone.
func (b *batch) deserted() bool { return errors.Is(context.Cause(b.ctx), errGone) }

// giveBack hands b back to the loop, and reports whether whoever has done it is to wait for
// another.
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

// takeBatches takes back the batches that are done, and answers.
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
			case b.deserted():
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

// conclude writes what has become of m's PUT, and goes on with what m has sent behind it.
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
	l.goOn(m, m.conn.in.bytes())
	if l.stopping && l.members[fd] == m && !m.lent && !m.paused && m.batch == nil { // stopping
		l.end(m, nil)
	}
}
