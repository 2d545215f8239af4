package server

import (
	"context"
	"errors"
)

// whole makes j, which reports on all credentials, wait until the engine has loaded the store. That
// takes seconds with a million credentials. A stop, a close by the peer, or waitTimeout ends the
// wait. The wait is not charged to the user, and j counts as a list only afterwards.
func (s *session) whole(j job) job {
	loaded := s.server.cfg.Engine.Loaded()
	select {
	case <-loaded:
		return j
	default:
	}
	waits := j
	waits.waits = true
	waits.run = func(ctx context.Context, flush func() error) error {
		patience, cancel := context.WithTimeout(ctx, s.server.cfg.waitTimeout)
		defer cancel()
		select {
		case <-loaded:
			return j.run(ctx, flush)
		case <-patience.Done():
		}
		s.release()
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errGone), errors.Is(cause, errInput):
			return errOver
		}
		s.fail(patience.Err())
		if j.last {
			return errOver
		}
		return nil
	}
	return waits
}

// doWhole is do for a report on all credentials.
func (s *session) doWhole(run func(flush func() error) error) action {
	next := s.do(run)
	s.job = s.whole(s.job)
	return next
}
