package demo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"tokend/clientlib"
)

// states follows the state of every credential of an instance by WATCH.
type states struct {
	watch  *clientlib.Watcher
	client *clientlib.Client
	stop   context.CancelFunc
	done   sync.WaitGroup
	change chan struct{} // a state has changed; level trigger

	mu    sync.Mutex
	state map[string]string // by name; without mistyped
	ever  map[string]bool   // all states that have occurred
}

// follow starts to follow. The caller ends it.
func (s *instance) follow(ctx context.Context) (*states, error) {
	f := &states{client: s.client(), change: make(chan struct{}, 1), state: map[string]string{}, ever: map[string]bool{}}
	var err error
	if f.watch, err = f.client.Watch(ctx, ""); err != nil {
		return nil, err
	}
	for _, l := range f.watch.List() {
		f.note(l)
	}
	ctx, f.stop = context.WithCancel(ctx)
	f.done.Go(func() {
		for {
			l, err := f.watch.Next(ctx)
			if err != nil {
				return // ended, or the daemon has: no more changes
			}
			f.note(l)
		}
	})
	return f, nil
}

func (f *states) end() {
	f.stop()
	f.done.Wait()
	_ = f.watch.Close()
	_ = f.client.Close()
}

func (f *states) note(l clientlib.Listing) {
	f.mu.Lock()
	f.ever[l.State] = true
	if l.Name != mistypedName {
		f.state[l.Name] = l.State
	}
	f.mu.Unlock()
	select {
	case f.change <- struct{}{}:
	default:
	}
}

// none reports whether no credential is in one of the states.
func (f *states) none(which ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.state {
		if slices.Contains(which, s) {
			return false
		}
	}
	return true
}

// had reports whether a credential has been in a state.
func (f *states) had(state string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ever[state]
}

// errTooLong reports that something awaited did not happen in time.
var errTooLong = errors.New("it took too long")

// wait waits until ok accepts the current states.
func (f *states) wait(ctx context.Context, within time.Duration, ok func(map[string]string) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, errTooLong)
	defer cancel()
	for {
		f.mu.Lock()
		now := maps.Clone(f.state)
		f.mu.Unlock()
		if ok(now) {
			return nil
		}
		select {
		case <-f.change:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
