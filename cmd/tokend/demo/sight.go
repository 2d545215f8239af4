package demo

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokend/clientlib"
)

// sight is what the clients have seen.
type sight struct {
	mu      sync.Mutex
	values  map[string]map[string]bool // by name
	died    map[string]time.Time       // values, and when they were first found dead
	reads   int
	good    int // of these, answered with a value
	errors  int // of these, refused
	dead    int // of the values, served though they had been dead for some time
	slowest time.Duration
}

func newSight(names []string) *sight {
	s := &sight{values: map[string]map[string]bool{}, died: map[string]time.Time{}}
	for _, name := range names {
		s.values[name] = map[string]bool{}
	}
	return s
}

// renewed returns of how many credentials another value has been seen than the one that was
// held before.
func (s *sight) renewed(before map[string]string) int {
	n := 0
	for name, values := range s.values {
		if len(values) > 1 || len(values) == 1 && !values[before[name]] {
			n++
		}
	}
	return n
}

// look has many clients read all the time for span, or until done says so if it is not nil,
// check each value with WeChat, and add what they see to seen.
func (d *demo) look(ctx context.Context, seen *sight, span time.Duration, done func() bool) error {
	s := d.short
	until := time.Now().Add(span)
	return d.crowd(ctx, s.conf.Socket(), watchers, func(ctx context.Context, i int, c *clientlib.Client) error {
		for n := i; time.Now().Before(until) && (done == nil || !done()); n++ {
			name := s.names[n%len(s.names)]
			began := time.Now()
			v, err := d.get(ctx, c, name)
			if _, refused := errors.AsType[*clientlib.Error](err); err != nil && !refused {
				return err
			}
			seen.note(name, v, err, began, err == nil && s.wechat.Valid(v))
			time.Sleep(time.Millisecond) // so that the machine is not all reads
		}
		return nil
	})
}

// note takes down one read that was begun at began.
func (s *sight) note(name, value string, err error, began time.Time, valid bool) {
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
	// It may have died on its way here. It must not be served again.
	died, known := s.died[value]
	switch {
	case !known:
		s.died[value] = time.Now()
	case began.Sub(died) > pastEnd:
		s.dead++
	}
}
