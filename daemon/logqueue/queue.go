package logqueue

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a [Queue]. Out is required.
type Config struct {
	// Out receives the lines. A Write to it may block for any time. Only one goroutine calls it.
	Out io.Writer

	// Lost returns a line reporting that n lines are missing before the next one. If Lost is nil,
	// gaps are not reported. The writing goroutine calls it.
	Lost func(n int64) []byte

	maxLines, maxBytes int // for tests: zero selects the constants
}

// maxLines and maxBytes bound the queue. They hold what the daemon logs in some seconds of trouble.
// The line being written is not counted.
const (
	maxLines = 4096
	maxBytes = 1 << 20
)

// Queue is an io.Writer that never blocks on the reader. Each call of Write is one line. Create a
// Queue with [New]. Its methods may be called concurrently.
type Queue struct {
	cfg     Config
	wake    chan struct{} // holds a token when there is something to write, or at Close
	ended   chan struct{} // closed when the writing goroutine has ended
	dropped atomic.Int64

	mu       sync.Mutex
	lines    []line
	bytes    int             // of lines
	shedding bool            // the queue was full and is not half empty yet
	lost     int64           // lines dropped after the last of lines
	writing  bool            // the writing goroutine has a line, or may be about to take one
	closed   bool            // no more lines are accepted
	waiting  []chan struct{} // closed when everything is written

	// The fields below belong to the writing goroutine.
	missing int64 // lines dropped and not reported yet
	torn    bool  // the last line was written partially
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
	go func() { // Close waits for it, up to its limit
		defer close(q.ended)
		q.run()
	}()
	return q
}

// Write queues p, or drops and counts it. It returns len(p) and nil in both cases, because a caller
// that logs cannot handle the failure.
func (q *Queue) Write(p []byte) (int, error) {
	q.add(p, false)
	return len(p), nil
}

// writerFunc adapts a function to io.Writer.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// Audit returns a writer to the same queue whose lines are dropped last.
func (q *Queue) Audit() io.Writer {
	return writerFunc(func(p []byte) { q.add(p, true) })
}

// Flusher returns a writer to the same queue for lines after which the process may exit. Each Write
// waits until the queue is written, at most for limit.
func (q *Queue) Flusher(limit time.Duration) io.Writer {
	return writerFunc(func(p []byte) {
		q.add(p, true)
		q.Flush(limit)
	})
}

// Dropped returns how many lines have been dropped.
func (q *Queue) Dropped() int64 { return q.dropped.Load() }

// Flush waits until every queued line is written or rejected by the output, at most for limit. It
// reports whether that was reached.
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

// Close drops all later writes. It waits until the queued lines are written and the writing
// goroutine has ended, at most for limit. It reports whether that was reached. If not, the
// goroutine is blocked in a write that cannot be canceled.
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

// signalLocked wakes the writing goroutine. q.mu is held.
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
// lines, the newest first. q.mu is held.
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

// dropLocked drops line i and records the gap in its place. q.mu is held.
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

// run writes queued lines until the queue is closed and empty.
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

// next takes the oldest line, or the gap after the last one. It returns false if there is neither.
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

// rest marks the queue as written, unless a line was just added or dropped. It reports whether the
// queue is also closed.
func (q *Queue) rest() (end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) > 0 || q.lost > 0 {
		return false // wake holds a token for it
	}
	q.writing = false
	for _, done := range q.waiting {
		close(done)
	}
	q.waiting = nil
	return q.closed
}

// write writes l, preceded by a report of the lines missing before it.
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

// put writes p. If the previous write was partial, p starts on a new line.
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
