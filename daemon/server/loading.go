package server

import (
	"context"
	"errors"
)

// whole makes j wait until the engine has loaded all that was kept, of which it tells. That takes
// seconds with a million credentials, and a stop, the peer's going away or waitTimeout
// ends the waiting. The peer's user pays for none of it, and what j holds a place of it takes
// afterwards.
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
		s.letGo()
		if errors.Is(context.Cause(ctx), errGone) {
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

// doWhole is do for what tells of all there is.
func (s *session) doWhole(run func(flush func() error) error) action {
	next := s.do(run)
	s.job = s.whole(s.job)
	return next
}
