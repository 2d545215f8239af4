package web

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// maxAttempts is how many calls of the inbox may be under way at once. A call takes less
// than a millisecond, or the time of one write to disk; only where these hang do places run out.
const maxAttempts = 64

var (
	errLate  = errors.New("not done in time")
	errFault = errors.New("a fault of tokend's")
)

// attempt runs f in one of places and returns its error, or errLate after the answer timeout. f
// goes on then, keeps its place, and Serve waits for it.
func (s *Server) attempt(places chan struct{}, f func() error) error {
	t := time.NewTimer(s.cfg.answerTimeout)
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

// guard runs f and makes errFault of its panic. Of what was thrown only the runtime's own words are
// logged, and the type of anything else, which might hold what was pushed. net/http would log
// the value itself.
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
		s.log.Error("a request failed by a fault of tokend's", "panic", what, "stack", string(debug.Stack()))
		err = errFault
	}()
	return f()
}
