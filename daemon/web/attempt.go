package web

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// maxAttempts is how many calls of the inbox may run at once. A call takes less than a millisecond
// plus at most one write to disk. The limit is reached only if these hang.
const maxAttempts = 64

var (
	errLate  = errors.New("timed out")
	errFault = errors.New("internal error")
)

// attempt runs f with a slot of places and returns its error, or errLate after limit. After a
// timeout f continues and keeps its slot, and Serve waits for it.
func (s *Server) attempt(places chan struct{}, limit time.Duration, f func() error) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case places <- struct{}{}:
	case <-t.C:
		return errLate
	}
	result := make(chan error, 1)
	s.work.Go(func() {
		defer func() { <-places }()
		result <- s.guard(f)
	})
	select {
	case err := <-result:
		return err
	case <-t.C:
		return errLate
	}
}

// guard runs f and converts a panic to errFault. It logs the text of a runtime error. Of any other
// panic value it logs only the type, because the value might contain a push. net/http would log the
// value itself.
func (s *Server) guard(f func() error) (err error) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		what := fmt.Sprintf("%T", fault)
		if e, ok := fault.(runtime.Error); ok {
			what = e.Error()
		}
		s.log.Error("internal error in an HTTP request", "panic", what, "stack", string(debug.Stack()))
		err = errFault
	}()
	return f()
}
