package generator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const haveLoop = true

// loop sends requests over many connections, one event at a time. It belongs to one thread.
type loop struct {
	plan  Plan
	start time.Time    // shared by all loops, so that their times compare
	over  *atomic.Bool // set to end the run early
	begun func()       // called when the warm-up ends
	pick  picker
	pace  pace
	poll  poller
	conns []conn
	free  []int32 // connections without a request, in an open loop
	again []retry // connections to reopen, in the order of their times

	ended time.Duration // when sending ends; 0 for a run with a Count
	left  int64         // requests left to send in such a run
	open  int           // requests in flight
	heard time.Duration // when bytes last arrived
	warm  bool          // the warm-up is over
	tally tally
	in    []byte
	out   []byte
}

// conn is one connection.
type conn struct {
	fd      int           // -1 without a connection
	sent    time.Duration // when the latency of the awaited replies starts
	awaited int           // number of awaited replies
	replies replies
}

// retry is a connection that failed or that the server closed.
type retry struct {
	conn int32
	at   time.Duration
}

func runLoops(ctx context.Context, p Plan) (*Result, error) {
	var over atomic.Bool
	defer context.AfterFunc(ctx, func() { over.Store(true) })()
	loops := make([]*loop, p.Threads)
	for i := range loops {
		l, err := newLoop(p.share(i), &over)
		if err != nil {
			return nil, err
		}
		defer l.close()
		l.pick = newPicker(p, i, p.Threads)
		loops[i] = l
	}
	cpu := processTime()
	loops[0].begun = func() { cpu = processTime() }
	start := time.Now()
	errs := make([]error, len(loops))
	var running sync.WaitGroup
	for i, l := range loops {
		l.start = start
		running.Go(func() {
			if errs[i] = l.run(); errs[i] != nil {
				over.Store(true)
			}
		})
	}
	running.Wait()
	result := &Result{CPU: processTime() - cpu}
	last := p.WarmUp
	for _, l := range loops {
		l.tally.addTo(result)
		last = max(last, l.tally.last)
	}
	result.Elapsed = last - p.WarmUp
	return result, errors.Join(errs...)
}

// newLoop returns a loop with open connections, unless each request opens its own.
func newLoop(p Plan, over *atomic.Bool) (*loop, error) {
	l := &loop{plan: p, over: over, conns: make([]conn, p.Connections), left: p.Count, in: make([]byte, 256<<10), begun: func() {}}
	if p.Duration > 0 {
		l.ended = p.WarmUp + p.Duration
	}
	l.out = make([]byte, 0, MaxBatch)
	for i := range l.conns {
		l.conns[i].fd = -1
	}
	if err := l.poll.open(p.Socket, len(l.conns) == 1); err != nil {
		return nil, err
	}
	if p.Reconnect {
		return l, nil
	}
	for i := range l.conns {
		for since := time.Now(); ; time.Sleep(pause) {
			err := l.connect(int32(i))
			if err == nil {
				break
			}
			if !errors.Is(err, errBacklog) || time.Since(since) > p.Timeout {
				l.close()
				return nil, err
			}
		}
	}
	return l, nil
}

func (l *loop) close() {
	for i := range l.conns {
		l.hangUp(&l.conns[i])
	}
	l.poll.close()
}

func (l *loop) hangUp(c *conn) {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd, l.poll.only = -1, -1
	}
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// run sends requests until the end, then waits for those in flight.
func (l *loop) run() error {
	runtime.LockOSThread() // never unlocked: the thread, which exact changes, ends
	exact()
	if l.plan.Gentle {
		giveWay()
	}
	l.pace = newPace(l.plan.Rate, 0)
	now := l.now()
	for i := range l.conns {
		if l.plan.Rate > 0 {
			l.free = append(l.free, int32(i))
		} else if err := l.ask(int32(i), now, now); err != nil {
			return err
		}
	}
	for {
		if err := l.turn(now); err != nil {
			return err
		}
		if l.done(now) {
			return nil
		}
		events, err := l.poll.wait(l.patience(now))
		if err != nil {
			return err
		}
		now = l.now()
		for i := range events {
			if now, err = l.receive(events[i].Fd); err != nil {
				return err
			}
		}
		if l.open > 0 && now-l.heard > l.plan.Timeout && now-l.latest() > l.plan.Timeout {
			return ErrTimeout
		}
	}
}

// latest returns when the last request in flight was sent or due.
func (l *loop) latest() time.Duration {
	var last time.Duration
	for i := range l.conns {
		if l.conns[i].awaited > 0 {
			last = max(last, l.conns[i].sent)
		}
	}
	return last
}

// sending reports whether a request with that due time must still be sent.
func (l *loop) sending(due time.Duration) bool {
	if l.over.Load() {
		return false
	}
	if l.ended > 0 {
		return due < l.ended
	}
	return l.left > 0
}

// done reports whether all requests have been sent and answered.
func (l *loop) done(now time.Duration) bool {
	switch {
	case l.over.Load():
		return true
	case l.plan.Rate == 0:
		return l.open == 0 && !l.sending(now)
	case l.ended > 0 && now > l.ended+l.plan.Timeout && l.pace.due < l.ended:
		// The server has not kept up, and the remaining requests would take as long again.
		l.tally.unsent = int64((l.ended - l.pace.due) / max(l.pace.every, 1))
		l.pace.due = l.ended
	}
	return l.open == 0 && !l.sending(l.pace.due)
}

// turn sends due requests on free connections and reopens connections whose time has come.
func (l *loop) turn(now time.Duration) error {
	for len(l.again) > 0 && l.again[0].at <= now {
		i := l.again[0].conn
		l.again = append(l.again[:0], l.again[1:]...)
		if err := l.resume(i, now); err != nil {
			return err
		}
	}
	for len(l.free) > 0 && l.pace.due <= now && l.sending(l.pace.due) {
		i := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		if err := l.ask(i, l.pace.advance(), now); err != nil {
			return err
		}
	}
	return nil
}

// patience returns how long to wait for an event.
func (l *loop) patience(now time.Duration) time.Duration {
	wait := 100 * time.Millisecond // how late a canceled ctx may be noticed
	if len(l.free) > 0 && l.sending(l.pace.due) {
		wait = min(wait, l.pace.due-now)
	}
	if len(l.again) > 0 {
		wait = min(wait, l.again[0].at-now)
	}
	if l.plan.Rate == 0 && l.ended > 0 && now < l.ended {
		wait = min(wait, l.ended-now)
	}
	return max(wait, 0)
}

// ask sends the next batch on a connection, whose latency counts from due, if the run continues.
// Otherwise the connection stays idle.
func (l *loop) ask(i int32, due, now time.Duration) error {
	c := &l.conns[i]
	n := l.plan.Batch
	if l.ended == 0 {
		n = int(min(int64(n), l.left))
	}
	if n == 0 || !l.sending(due) {
		return nil
	}
	l.left -= int64(n)
	l.open += n
	c.sent, c.awaited = due, n
	return l.transmit(i, now)
}

// transmit sends a connection's batch, and opens the connection first if necessary.
func (l *loop) transmit(i int32, now time.Duration) error {
	c := &l.conns[i]
	if c.fd < 0 {
		if ok, err := l.reconnect(i, now); !ok {
			return err
		}
	}
	l.out = l.out[:0]
	for range c.awaited {
		l.out = append(l.out, l.pick.next()...)
	}
	switch n, errno := send(c.fd, l.out); {
	case n == len(l.out):
		return nil
	case n > 0 || errno == unix.EAGAIN:
		return fmt.Errorf("generator: %d bytes do not fit into the socket at once", len(l.out))
	}
	l.lose(i, now)
	return nil
}

// reconnect opens a connection, or schedules a retry if the server's listen queue is full.
func (l *loop) reconnect(i int32, now time.Duration) (ok bool, err error) {
	switch err = l.connect(i); {
	case err == nil:
		return true, nil
	case errors.Is(err, errBacklog) && (l.conns[i].awaited == 0 || now-l.conns[i].sent <= l.plan.Timeout):
		l.later(i, now+pause)
		return false, nil
	}
	return false, err
}

// resume continues with a connection after a retry time.
func (l *loop) resume(i int32, now time.Duration) error {
	c := &l.conns[i]
	if c.awaited > 0 {
		return l.transmit(i, now)
	}
	if !l.plan.Reconnect {
		if ok, err := l.reconnect(i, now); !ok {
			return err
		}
	}
	return l.next(i, now)
}

// next continues with a connection that awaits no reply.
func (l *loop) next(i int32, now time.Duration) error {
	if l.plan.Rate > 0 {
		l.free = append(l.free, i)
		return nil
	}
	return l.ask(i, now, now)
}

// later schedules a retry of a connection.
func (l *loop) later(i int32, at time.Duration) {
	place := len(l.again)
	for place > 0 && l.again[place-1].at > at {
		place--
	}
	l.again = append(l.again, retry{})
	copy(l.again[place+1:], l.again[place:])
	l.again[place] = retry{i, at}
}

// receive reads from a connection and sends the next batch. It returns the current time.
func (l *loop) receive(i int32) (now time.Duration, err error) {
	c := &l.conns[i]
	n, errno := receive(c.fd, l.in)
	now = l.now()
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return now, nil
	case n <= 0:
		l.lose(i, now)
		return now, nil
	}
	l.heard = now
	if !l.warm && now >= l.plan.WarmUp {
		l.warm, l.tally = true, tally{}
		l.begun()
	}
	ended, err := c.replies.scan(l.in[:n], &l.tally)
	if err != nil {
		return now, err
	}
	ended = min(ended, c.awaited) // a server that rejects a connection replies without a request
	if ended == 0 {
		return now, nil
	}
	l.tally.answered(ended, c.sent, now)
	l.open -= ended
	if c.awaited -= ended; c.awaited > 0 {
		return now, nil
	}
	if l.plan.Reconnect {
		l.hangUp(c)
	}
	return now, l.next(i, now)
}

// lose closes a connection that the server has ended, counts its awaited replies as lost, and
// schedules a reconnect.
func (l *loop) lose(i int32, now time.Duration) {
	c := &l.conns[i]
	l.hangUp(c)
	l.tally.lost += int64(c.awaited)
	l.open -= c.awaited
	c.awaited = 0
	if at := slices.Index(l.free, i); at >= 0 { // the connection was idle
		l.free = slices.Delete(l.free, at, at+1)
	}
	l.later(i, now+turnedAway)
}

// connect opens a connection, or returns [errBacklog].
func (l *loop) connect(i int32) error {
	fd, err := l.dial(i)
	if err != nil {
		return err
	}
	c := &l.conns[i]
	c.fd = fd
	c.replies.reset(l.plan.Dialect)
	return l.poll.add(fd, i)
}
