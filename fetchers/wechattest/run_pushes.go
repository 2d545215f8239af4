package wechattest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxFailures is how many consecutive failed pushes pause a platform. WeChat documents "several".
const maxFailures = 3

// ticketEvery is the interval between tickets: ten minutes for a lifetime of two hours.
func (w *WeChat) ticketEvery() time.Duration { return w.set.Lifetime / 12 }

// pause is how long a failed platform gets no pushes: a minute for a lifetime of two hours.
func (w *WeChat) pause() time.Duration { return w.set.Lifetime / 120 }

// RunPushes pushes until ctx ends. It sends each event as it is queued. It sends a ticket to each
// owner with a callback, immediately and then every ten minutes, a twelfth of [Settings.Lifetime].
// An owner's pushes are sent in order. A slow owner does not delay others. After three consecutive
// failures a platform gets nothing for a minute. When RunPushes returns, nothing that it started is
// running, and pushes in progress are cut off. Nothing is pushed while WeChat is unreachable.
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
				w.wakePushes() // it may have been paused or have got new pushes
			})
		}
		w.sleep(ctx, time.Until(next))
	}
}

// sleep returns after d, when ctx ends, or on wakePushes.
func (w *WeChat) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-t.C:
	}
}

// wakePushes wakes RunPushes. mu is held.
func (w *WeChat) wakePushes() {
	select {
	case w.wake <- struct{}{}:
	default: // it is already going to wake
	}
}

// due queues the tickets that are due. It returns the owners that have something to send and no
// sender, and when to call due again.
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

// Flush sends the queued pushes and returns when they have been sent, for tests without
// [WeChat.RunPushes]. Pushes of a paused owner stay queued.
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

// drain sends the queue of o. The caller has set o.sending, and drain clears it.
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

// nextPush removes the next push from o's queue. If there is none to send now, it clears o.sending.
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

// settle applies the consequences of a push that was accepted or given up. WeCom has none.
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
