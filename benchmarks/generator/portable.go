package generator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// portable is a run with a goroutine for each connection.
type portable struct {
	plan  Plan
	start time.Time
	left  atomic.Int64 // requests left to send, in a run with a Count
	cpu   atomic.Int64 // used before the end of the warm-up

	mu   sync.Mutex // guards pace
	pace pace
}

func runPortable(ctx context.Context, p Plan) (*Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &portable{plan: p, pace: newPace(p.Rate, 0)}
	r.left.Store(p.Count)
	workers := make([]*worker, p.Connections)
	for i := range workers {
		workers[i] = &worker{run: r, pick: newPicker(p, i, p.Connections)}
		defer workers[i].close()
		if p.Reconnect {
			continue
		}
		if err := workers[i].connect(ctx); err != nil {
			return nil, err
		}
	}
	r.start = time.Now()
	r.cpu.Store(int64(processTime()))
	if p.WarmUp > 0 {
		timer := time.AfterFunc(p.WarmUp, func() { r.cpu.Store(int64(processTime())) })
		defer timer.Stop()
	}
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() {
			if err := w.work(ctx); err != nil {
				stop(err)
			}
		})
	}
	running.Wait()
	result := &Result{CPU: processTime() - time.Duration(r.cpu.Load())}
	last := p.WarmUp
	for _, w := range workers {
		w.tally.addTo(result)
		last = max(last, w.tally.last)
	}
	result.Elapsed = last - p.WarmUp
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return result, err
	}
	return result, nil
}

func (r *portable) now() time.Duration { return time.Since(r.start) }

// claim returns the size of the next batch and the start of its latency. At the end of the run it
// returns 0.
func (r *portable) claim(ctx context.Context) (n int, due time.Duration) {
	n = r.plan.Batch
	if r.plan.Count > 0 {
		rest := r.left.Add(-int64(n)) + int64(n)
		n = int(min(int64(n), rest))
	}
	if n <= 0 || ctx.Err() != nil {
		return 0, 0
	}
	due = r.now()
	if r.plan.Rate > 0 {
		r.mu.Lock()
		due = r.pace.advance()
		r.mu.Unlock()
	}
	if end := r.plan.WarmUp + r.plan.Duration; r.plan.Duration > 0 && due >= end {
		return 0, 0
	}
	select {
	case <-time.After(due - r.now()):
		return n, due
	case <-ctx.Done():
		return 0, 0
	}
}

// worker is one connection and the goroutine that uses it.
type worker struct {
	run     *portable
	conn    net.Conn // nil without a connection
	pick    picker
	replies replies
	tally   tally
	warm    bool // the warm-up is over
	out, in []byte
}

func (w *worker) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// pause is the time before a retry when the server's listen queue is full.
const pause = 100 * time.Microsecond

// connect retries while the server's listen queue is full: on a Unix socket, connect does not wait.
func (w *worker) connect(ctx context.Context) error {
	var d net.Dialer
	for since := time.Now(); ; time.Sleep(pause) {
		c, err := d.DialContext(ctx, "unix", w.run.plan.Socket)
		if err == nil {
			w.conn = c
			w.replies.reset(w.run.plan.Dialect)
			return nil
		}
		if !errors.Is(err, errBacklog) || time.Since(since) > w.run.plan.Timeout {
			return fmt.Errorf("%w: %w", ErrConnect, err)
		}
	}
}

// work sends requests until the run ends.
func (w *worker) work(ctx context.Context) error {
	w.in = make([]byte, 16<<10)
	for {
		n, due := w.run.claim(ctx)
		if n == 0 {
			return nil
		}
		if w.conn == nil {
			if err := w.connect(ctx); err != nil {
				return err
			}
		}
		if err := w.ask(ctx, n, due); err != nil {
			return err
		}
		if w.run.plan.Reconnect {
			w.close()
		}
	}
}

// ask sends n requests and reads their replies.
func (w *worker) ask(ctx context.Context, n int, due time.Duration) error {
	w.out = w.out[:0]
	for range n {
		w.out = append(w.out, w.pick.next()...)
	}
	if _, err := w.conn.Write(w.out); err != nil {
		w.lose(n)
		return nil
	}
	for awaited := n; awaited > 0; {
		got, err := w.read(ctx)
		switch {
		case errors.Is(err, ErrTimeout):
			return err
		case err != nil:
			w.lose(awaited)
			return nil
		}
		now := w.run.now()
		if !w.warm && now >= w.run.plan.WarmUp {
			w.warm, w.tally = true, tally{}
		}
		ended, err := w.replies.scan(w.in[:got], &w.tally)
		if err != nil {
			return err
		}
		w.tally.answered(ended, due, now)
		awaited -= ended
	}
	return nil
}

// lose closes the connection and counts n replies as lost.
func (w *worker) lose(n int) {
	w.tally.lost += int64(n)
	w.close()
	time.Sleep(turnedAway)
}

// turnedAway is the time before a connection that the server closed is reopened.
const turnedAway = 10 * time.Millisecond

// read waits for bytes, up to the plan's timeout.
func (w *worker) read(ctx context.Context) (n int, err error) {
	const tick = 100 * time.Millisecond // how late a canceled ctx may be noticed
	for since := time.Now(); ; {
		if err := w.conn.SetReadDeadline(time.Now().Add(min(tick, w.run.plan.Timeout))); err != nil {
			return 0, err
		}
		n, err = w.conn.Read(w.in)
		switch {
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case time.Since(since) >= w.run.plan.Timeout:
			return 0, ErrTimeout
		}
	}
}
