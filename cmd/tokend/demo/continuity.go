package demo

import (
	"context"
	"sync"
	"time"

	"tokend/clientlib"
)

// continuity is what clients observe that need a valid value all the time.
type continuity struct {
	mu      sync.Mutex
	reads   int
	errors  int           // of these, with an error
	dead    int           // of these, with a value that had been dead for some time
	longest time.Duration // that a client was without a valid value
}

// onItsWay is how long a dead value may be served. WeChat ends a token, the second to last one, in
// the moment of a call. No host can know before the answer has arrived.
const onItsWay = time.Second

// note adds one read that started at began. ended is when WeChat ended the value.
func (s *continuity) note(err error, began, ended time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	switch {
	case err != nil:
		s.errors++
	case began.Sub(ended) > onItsWay:
		s.dead++
	}
}

// waited adds the time that a client was without a valid value.
func (s *continuity) waited(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = max(s.longest, d)
}

// steady is how many clients of each host read all the time.
const steady = 2

// readSteadily makes clients of h read all credentials in turn until ctx is done.
func (d *several) readSteadily(ctx context.Context, h *host) error {
	return d.concurrently(ctx, h.conf.Socket(), steady, func(ctx context.Context, i int, c *clientlib.Client) error {
		without := map[string]time.Time{} // by name: since when there was no valid value
		for n := i; ctx.Err() == nil; n++ {
			name := d.names[n%len(d.names)]
			began := time.Now()
			v, err := d.get(ctx, c, name)
			if ctx.Err() != nil {
				return nil
			}
			ended := d.wechat.Ends(v)
			d.seen.note(err, began, ended)
			valid := err == nil && ended.After(began)
			since, failed := without[name]
			if !failed {
				since = began
			}
			d.seen.waited(time.Since(since))
			if valid {
				delete(without, name)
			} else {
				without[name] = since
			}
			time.Sleep(10 * time.Millisecond) // leaves time for the hosts
		}
		return nil
	})
}
