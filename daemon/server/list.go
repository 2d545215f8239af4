package server

import (
	"cmp"
	"context"
	"iter"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// list answers with what the peer may see. A list of any length is written in pieces.
func (s *session) list(prefix []byte) action {
	if s.mayNotList(protocol.VerbList) {
		return s.deny(protocol.VerbList)
	}
	under := string(prefix)
	if !s.rights.MayListUnder(protocol.VerbList, under) {
		s.out = s.codec.count(s.out, 0)
		return more
	}
	s.job = s.whole(job{run: func(ctx context.Context, flush func() error) error {
		return s.walk(ctx, flush, func() error {
			return s.listing(protocol.VerbList, func(may func(string) bool) (int, iter.Seq[credential.Listing]) {
				return s.server.cfg.Engine.List(under, may)
			}, flush)
		})
	}})
	return wait
}

// mayNotList reports whether v is denied: the peer sees names, and v is granted on none of them. To
// a peer that sees no name at all nothing is denied: there is nothing to list.
func (s *session) mayNotList(v protocol.Verb) bool {
	return !s.rights.Anywhere(v) && !s.rights.None()
}

// walk calls f, which holds a list of all there is, when there is a place for it among those of
// its user.
func (s *session) walk(ctx context.Context, flush func() error, f func() error) error {
	if s.user.operator {
		return f()
	}
	select {
	case s.user.lists <- struct{}{}:
	default:
		if err := flush(); err != nil {
			return err
		}
		patience := time.NewTimer(s.server.cfg.waitTimeout)
		defer patience.Stop()
		select {
		case s.user.lists <- struct{}{}:
		case <-ctx.Done():
			s.fail(ctx.Err())
			return nil
		case <-patience.C:
			s.fail(errLists)
			return nil
		}
	}
	defer func() { <-s.user.lists }()
	return f()
}

// listing writes the count and the lines of what of all that list returns may be shown to v.
func (s *session) listing(v protocol.Verb, list func(may func(name string) bool) (int, iter.Seq[credential.Listing]), flush func() error) error {
	var n int
	var all iter.Seq[credential.Listing]
	s.timed(lookCost, func() {
		n, all = list(func(name string) bool { return s.rights.MayList(v, name) })
	})
	s.out = s.codec.count(s.out, n)
	for l := range all {
		if len(s.out) >= maxOut {
			if err := flush(); err != nil {
				return err
			}
		}
		s.out = s.codec.listing(s.out, l)
	}
	return nil
}

// watch answers as list does and goes on to tell of changes until the peer goes away or says
// something, the daemon stops, the peer may not watch any longer, or is too slow for what happens.
// It ends by closing the connection: a watcher that has missed a change must not believe that
// nothing happened.
func (s *session) watch(prefix []byte) action {
	if s.mayNotList(protocol.VerbWatch) {
		return s.deny(protocol.VerbWatch)
	}
	if !s.hold(&s.user.watches, userWatches) {
		s.fail(errWatches)
		return more
	}
	under := string(prefix)
	granted := s.rights.MayListUnder(protocol.VerbWatch, under)
	s.job = s.whole(job{waits: true, last: true, run: func(ctx context.Context, flush func() error) error {
		defer s.letGo()
		var w Watch
		err := s.walk(ctx, flush, func() error {
			return s.listing(protocol.VerbWatch, func(may func(string) bool) (n int, all iter.Seq[credential.Listing]) {
				n, all, w = s.server.cfg.Engine.Watch(under, may)
				return n, all
			}, flush)
		})
		if w == nil {
			return cmp.Or(err, errOver) // no place among those who list: it has been told so
		}
		defer w.Close()
		if err != nil {
			return err
		}
		return s.tell(ctx, under, granted, w, flush)
	}})
	return wait
}

// tell writes changes as they come; those that come together go out together. granted says that the
// peer may watch something under prefix, as far as names go. Where other rules take that away, tell
// says so and ends: the watch would stay silent for good.
func (s *session) tell(ctx context.Context, prefix string, granted bool, w Watch, flush func() error) error {
	for {
		s.renewRights()
		rules, before := s.rules, granted
		if granted = s.rights.MayListUnder(protocol.VerbWatch, prefix); before && !granted {
			return s.endWatch()
		}
		changes, open := w.Take()
		for _, l := range changes {
			if ctx.Err() != nil {
				return errOver
			}
			s.renewRights() // the rules may change at any time
			if s.rights.MayList(protocol.VerbWatch, l.Name) {
				s.out = s.codec.change(s.out, l)
			}
			if len(s.out) >= maxOut {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
		if !open {
			return errOver
		}
		select {
		case <-ctx.Done():
			return errOver
		case <-w.Ready():
		case <-rules.Replaced():
		}
	}
}

// endWatch tells the peer that it may watch no longer, and the audit too.
func (s *session) endWatch() error {
	e := denied(protocol.VerbWatch)
	if s.mayNote(&s.user.denials, denialLines) {
		s.note(hclog.Warn, protocol.VerbWatch.String(), "-", string(e.Code))
	}
	s.fail(e)
	return errOver
}
