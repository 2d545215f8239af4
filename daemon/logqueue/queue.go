package logqueue

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a [Queue] is made of. Out is required.
type Config struct {
	// Out is where the lines go. A Write to it may take any time. It is called by one goroutine.
	Out io.Writer

	// Lost returns a line that says that n lines are missing before the next one; nil for no such
	// line. It is called by the goroutine that writes.
	Lost func(n int64) []byte

	maxLines, maxBytes int // for tests: zero for the constants
}

// maxLines and maxBytes bound what is queued: what the daemon logs in some seconds of trouble. The
// line that is being written is not counted.
const (
	maxLines = 4096
	maxBytes = 1 << 20
)

// Queue is an io.Writer that never waits for the reader of what is written. Each call of Write is
// one line. Make one with [New]; its methods may be called concurrently.
type Queue struct {
	cfg     Config
	wake    chan struct{} // holds a token when there is something to write, or to end
	ended   chan struct{} // closed when the goroutine that writes has ended
	dropped atomic.Int64

	mu       sync.Mutex
	lines    []line
	bytes    int             // of lines
	shedding bool            // the queue was full and is not half empty yet
	lost     int64           // lines dropped after the last of lines
	writing  bool            // the goroutine has a line, or may be about to take one
	closed   bool            // no more lines are taken
	waiting  []chan struct{} // closed when everything is written

	// Only the goroutine that writes uses what follows.
	missing int64 // lines dropped and not reported yet
	torn    bool  // the last line was written in part
}

// line is one line, or only a gap if text is nil.
type line struct {
	text  []byte
	audit bool
	lost  int64 // lines dropped directly before this one
}

// New returns a queue in front of cfg.Out. Close ends it.
func New(cfg Config) *Queue {
	cfg.maxLines, cfg.maxBytes = cmp.Or(cfg.maxLines, maxLines), cmp.Or(cfg.maxBytes, maxBytes)
	q := &Queue{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() { // waited for by Close, for as long as its caller wants
		defer close(q.ended)
		q.run()
	}()
	return q
}

// Write queues p, or drops it and counts it. It returns len(p) and nil in either case: nobody who
// logs can do anything about it.
func (q *Queue) Write(p []byte) (int, error) {
	q.add(p, false)
	return len(p), nil
}

// writerFunc is an io.Writer that has no state of its own.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// Audit returns a writer to the same queue whose lines are dropped last.
func (q *Queue) Audit() io.Writer {
	return writerFunc(func(p []byte) { q.add(p, true) })
}

// Flusher returns a writer to the same queue for lines after which the process may end: each Write
// waits until everything is written, at most for limit.
func (q *Queue) Flusher(limit time.Duration) io.Writer {
	return writerFunc(func(p []byte) {
		q.add(p, true)
		q.Flush(limit)
	})
}

// Dropped returns how many lines have been dropped.
func (q *Queue) Dropped() int64 { return q.dropped.Load() }

// Flush waits until everything that was queued is written or refused by the output, at most for
// limit, and reports whether it is.
func (q *Queue) Flush(limit time.Duration) bool {
	q.mu.Lock()
	if !q.writing {
		q.mu.Unlock()
		return true
	}
	done := make(chan struct{})
	q.waiting = append(q.waiting, done)
	q.mu.Unlock()
	return within(limit, done)
}

// Close drops whatever is written to q from now on, and waits until the lines that are queued are
// written and the queue's goroutine has ended, at most for limit. It reports whether they are. If
// not, the goroutine is stuck in a write that nothing can cancel.
func (q *Queue) Close(limit time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.signalLocked()
	q.mu.Unlock()
	return within(limit, q.ended)
}

func within(limit time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// signalLocked wakes the goroutine that writes. q.mu is held.
func (q *Queue) signalLocked() {
	q.writing = true
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add queues a copy of p if there is space.
func (q *Queue) add(p []byte, audit bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(p) == 0 {
		return
	}
	if q.closed || len(p) > q.cfg.maxBytes || !q.makeSpaceLocked(len(p), audit) {
		q.lost++
		q.dropped.Add(1)
		q.signalLocked()
		return
	}
	q.lines = append(q.lines, line{text: slices.Clone(p), audit: audit, lost: q.lost})
	q.bytes += len(p)
	q.lost = 0
	q.signalLocked()
}

// makeSpaceLocked reports whether n more bytes may be queued. For an audit line it drops ordinary
// ones, the newest first. q.mu is held.
func (q *Queue) makeSpaceLocked(n int, audit bool) bool {
	full := func() bool { return len(q.lines) >= q.cfg.maxLines || q.bytes+n > q.cfg.maxBytes }
	q.shedding = q.shedding || full()
	if !audit {
		return !q.shedding
	}
	for i := len(q.lines) - 1; full(); i-- {
		for i >= 0 && q.lines[i].audit {
			i--
		}
		if i < 0 {
			return false
		}
		q.dropLocked(i)
	}
	return true
}

// dropLocked drops line i; the gap stays where it was. q.mu is held.
func (q *Queue) dropLocked(i int) {
	after := &q.lost
	if i+1 < len(q.lines) {
		after = &q.lines[i+1].lost
	}
	*after += q.lines[i].lost + 1
	q.bytes -= len(q.lines[i].text)
	q.lines = slices.Delete(q.lines, i, i+1)
	q.dropped.Add(1)
}

// run writes what is queued until the queue is closed and empty.
func (q *Queue) run() {
	for range q.wake {
		for {
			l, ok := q.next()
			if !ok {
				break
			}
			q.write(l)
		}
		if q.rest() {
			return
		}
	}
}

// next takes the oldest line, or the gap after the last one. It returns false if there is nothing.
func (q *Queue) next() (l line, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		l, q.lost, q.shedding = line{lost: q.lost}, 0, false
		return l, l.lost > 0
	}
	l = q.lines[0]
	q.lines[0] = line{}
	q.lines = q.lines[1:]
	q.bytes -= len(l.text)
	if len(q.lines) == 0 {
		q.lines = nil // an idle queue holds no memory
	}
	if len(q.lines) <= q.cfg.maxLines/2 && q.bytes <= q.cfg.maxBytes/2 {
		q.shedding = false
	}
	return l, true
}

// rest notes that everything is written, unless a line has just arrived or been dropped, and
// reports whether the queue is closed as well.
func (q *Queue) rest() (end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) > 0 || q.lost > 0 {
		return false // its signal is in wake
	}
	q.writing = false
	for _, done := range q.waiting {
		close(done)
	}
	q.waiting = nil
	return q.closed
}

// write writes l, after a line about the lines that are missing before it.
func (q *Queue) write(l line) {
	q.missing += l.lost
	var err error
	if q.missing > 0 && q.cfg.Lost != nil {
		err = q.put(q.cfg.Lost(q.missing))
	}
	if err == nil {
		q.missing = 0
		err = q.put(l.text)
	}
	if err != nil && l.text != nil {
		q.missing++
		q.dropped.Add(1)
	}
}

// put writes p, on a line of its own even if the last one was cut short.
func (q *Queue) put(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if q.torn {
		p = slices.Concat([]byte{'\n'}, p)
	}
	n, err := q.cfg.Out.Write(p)
	if n > 0 {
		q.torn = n < len(p)
	}
	return err
}
