package demo

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokend/clientlib"
)

// observations is what the clients have observed.
type observations struct {
	mu      sync.Mutex
	values  map[string]map[string]bool // by name
	died    map[string]time.Time       // dead values, with the time of the first observation
	reads   int
	good    int // of these, with a value
	errors  int // of these, with an error
	dead    int // values served although they had been dead for some time
	slowest time.Duration
}

func newObservations(names []string) *observations {
	s := &observations{values: map[string]map[string]bool{}, died: map[string]time.Time{}}
	for _, name := range names {
		s.values[name] = map[string]bool{}
	}
	return s
}

// renewed returns the number of credentials with another observed value than the one in before.
func (s *observations) renewed(before map[string]string) int {
	n := 0
	for name, values := range s.values {
		if len(values) > 1 || len(values) == 1 && !values[before[name]] {
			n++
		}
	}
	return n
}

// observe runs many clients that read all the time for span, or until done returns true if it is
// not nil. They check each value with WeChat and add their observations to seen.
func (d *demo) observe(ctx context.Context, seen *observations, span time.Duration, done func() bool) error {
	s := d.short
	until := time.Now().Add(span)
	return d.concurrently(ctx, s.conf.Socket(), watchers, func(ctx context.Context, i int, c *clientlib.Client) error {
		for n := i; time.Now().Before(until) && (done == nil || !done()); n++ {
			name := s.names[n%len(s.names)]
			began := time.Now()
			v, err := d.get(ctx, c, name)
			if _, refused := errors.AsType[*clientlib.Error](err); err != nil && !refused {
				return err
			}
			seen.note(name, v, err, began, err == nil && s.wechat.Valid(v))
			time.Sleep(time.Millisecond) // leaves time for other processes
		}
		return nil
	})
}

// note adds one read that started at began.
func (s *observations) note(name, value string, err error, began time.Time, valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	s.slowest = max(s.slowest, time.Since(began))
	if err != nil {
		s.errors++
		return
	}
	s.good++
	s.values[name][value] = true
	if valid {
		return
	}
	// The value may have died on its way. It must not be served again.
	died, known := s.died[value]
	switch {
	case !known:
		s.died[value] = time.Now()
	case began.Sub(died) > pastEnd:
		s.dead++
	}
}
