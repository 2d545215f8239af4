package server

import (
	"context"
	"slices"

	"tokend/daemon/refresh"
	"tokend/protocol"
)

// list answers with what the peer may see. A list of any length is written in pieces.
func (s *session) list(prefix []byte) action {
	if !s.granted(protocol.VerbList) {
		return more
	}
	under := string(prefix)
	return s.do(func(flush func() error) error {
		return s.listing(protocol.VerbList, s.server.cfg.Engine.List(under), flush)
	})
}

// listing writes the count and the lines of what of all may be shown to v. It keeps
// and changes all.
func (s *session) listing(v protocol.Verb, all []refresh.Listing, flush func() error) error {
	all = slices.DeleteFunc(all, func(l refresh.Listing) bool { return !s.rights.mayList(v, l.Name) })
	s.out = protocol.AppendCount(s.out, len(all))
	for _, l := range all {
		if len(s.out) >= maxOut {
			if err := flush(); err != nil {
				return err
			}
		}
		s.out = protocol.AppendListing(s.out, l.Name, l.State.String(), l.TTL)
	}
	return nil
}

// watch answers as list does and goes on to tell of changes until the peer goes away or
// says something, the daemon stops, or the peer is too slow for what happens. It ends
// by closing the connection: a watcher that has missed a change must not
// believe that nothing happened.
func (s *session) watch(prefix []byte) action {
	if !s.granted(protocol.VerbWatch) {
		return more
	}
	under := string(prefix)
	s.job = job{waits: true, last: true, run: func(ctx context.Context, flush func() error) error {
		all, w := s.server.cfg.Engine.Watch(under)
		defer w.Close()
		if err := s.listing(protocol.VerbWatch, all, flush); err != nil {
			return err
		}
		return s.tell(ctx, w.Events(), flush)
	}}
	return wait
}

// tell writes events as they come; those that come together go out together.
func (s *session) tell(ctx context.Context, events <-chan refresh.Listing, flush func() error) error {
	for {
		if len(events) == 0 || len(s.out) >= maxOut {
			if err := flush(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return errOver
		case l, open := <-events:
			if !open {
				return errOver
			}
			s.renewRights() // the rules may have changed since the watch began
			if s.rights.mayList(protocol.VerbWatch, l.Name) {
				s.out = protocol.AppendChanged(s.out, l.Name, l.State.String(), l.TTL)
			}
		}
	}
}
