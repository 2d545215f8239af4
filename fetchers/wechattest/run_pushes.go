package wechattest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxFailures is after how many failed pushes in a row a platform gets none for a
// while. WeChat says "several".
const maxFailures = 3

// ticketEvery is how far apart tickets are: ten minutes of two hours.
func (w *WeChat) ticketEvery() time.Duration { return w.set.Lifetime / 12 }

// pause is how long a platform that failed gets no pushes: a minute of two hours.
func (w *WeChat) pause() time.Duration { return w.set.Lifetime / 120 }

// RunPushes pushes until ctx ends: a ticket to each owner that has a callback, at
// once and then ten minutes apart (a twelfth of [Settings.Lifetime]), and each
// event as it is queued. An owner's pushes follow one another in order; one that is slow does not
// hold up another's. After three failures in a row a platform gets nothing for a minute.
// When RunPushes returns, nothing of it is running; what is under way is cut off. Nothing is
// pushed while WeChat is away.
func (w *WeChat) RunPushes(ctx context.Context) {
	var senders sync.WaitGroup
	defer senders.Wait()
	for ctx.Err() == nil {
		ready, next := w.due(time.Now())
		for _, o := range ready {
			senders.Go(func() {
				w.drain(ctx, o)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.wakePushes() // it may have been paused, or have got more meanwhile
			})
		}
		w.sleep(ctx, time.Until(next))
	}
}

// sleep ends after d, with ctx, or when there is something to look at.
func (w *WeChat) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-t.C:
	}
}

// wakePushes makes RunPushes look again. It is called with mu held.
func (w *WeChat) wakePushes() {
	select {
	case w.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// due queues the tickets that are due, takes the owners that have something to send and are
// not being sent to, and returns when to look again.
func (w *WeChat) due(now time.Time) (ready []*owner, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next = now.Add(w.ticketEvery())
	if w.away {
		return nil, next
	}
	for _, id := range slices.Sorted(maps.Keys(w.accounts.owners)) {
		o := w.accounts.owners[id]
		if o.callback == "" {
			continue
		}
		if !o.stopped {
			if !now.Before(o.ticketDue) {
				o.queue = append(o.queue, w.ticketPush(o, now))
				o.ticketDue = now.Add(w.ticketEvery())
			}
			next = earlier(next, o.ticketDue)
		}
		switch {
		case len(o.queue) == 0 || o.sending:
		case now.Before(o.paused):
			next = earlier(next, o.paused)
		default:
			o.sending = true
			ready = append(ready, o)
		}
	}
	return ready, next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Flush sends what is queued and returns when it is sent, for a test that does without
// [WeChat.RunPushes]. What waits for a pause to end stays queued.
func (w *WeChat) Flush(ctx context.Context) {
	w.mu.Lock()
	var ready []*owner
	for _, id := range slices.Sorted(maps.Keys(w.accounts.owners)) {
		if o := w.accounts.owners[id]; !o.sending {
			o.sending = true
			ready = append(ready, o)
		}
	}
	w.mu.Unlock()
	for _, o := range ready {
		w.drain(ctx, o)
	}
}

// drain sends what o has queued. The caller has set o.sending, which it takes back.
func (w *WeChat) drain(ctx context.Context, o *owner) {
	for {
		p, twice, ok := w.nextPush(ctx, o)
		if !ok {
			return
		}
		w.Send(ctx, o.account.id, p)
		if twice {
			w.Send(ctx, o.account.id, p)
		}
	}
}

// nextPush takes the next push out of o's queue; with none to send now it ends the sending.
func (w *WeChat) nextPush(ctx context.Context, o *owner) (p Push, twice, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(o.queue) == 0 || o.callback == "" || w.away || ctx.Err() != nil || time.Now().Before(o.paused) {
		o.sending = false
		return Push{}, false, false
	}
	p, o.queue = o.queue[0], o.queue[1:]
	return p, o.quirks.Duplicate, true
}

// settle draws the consequence of a push that was taken or given up. WeCom has none.
func (w *WeChat) settle(o *owner, d Delivery) {
	switch {
	case o.suite:
	case d.Err == nil:
		o.failures = 0
	default:
		if o.failures++; o.failures == maxFailures {
			o.failures, o.paused = 0, time.Now().Add(w.pause())
		}
	}
}
