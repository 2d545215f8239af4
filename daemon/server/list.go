package server

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/protocol"
)

// list answers with the names that the peer may see. A long list is written in parts.
func (s *session) list(prefix []byte) action {
	if s.mayNotList(protocol.VerbList) {
		return s.deny(protocol.VerbList)
	}
	under := string(prefix)
	if !s.rights.MayListUnder(protocol.VerbList, under) {
		s.out = s.codec.count(s.out, 0)
		return more
	}
	s.job = s.whole(job{waits: true, brief: true, run: func(ctx context.Context, flush func() error) error {
		return s.walk(ctx, flush, func() error {
			return s.listing(ctx, protocol.VerbList, func(work *throttle.Work, may func(string) bool) (int, iter.Seq[credential.Listing]) {
				return s.server.cfg.Engine.List(work, under, may)
			}, flush)
		})
	}})
	return wait
}

// mayNotList reports whether v is denied: the peer sees names, and v is granted on none of them. A
// peer that sees no name is not denied v: it gets an empty list.
func (s *session) mayNotList(v protocol.Verb) bool {
	return !s.rights.Anywhere(v) && !s.rights.None()
}

// walk calls f, which holds a list of all credentials, once fewer than userLists of its user do.
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

// listing writes the count and the listings of the names on which v is granted. It stops when the
// peer has closed, but not when the daemon stops.
func (s *session) listing(ctx context.Context, v protocol.Verb, list func(work *throttle.Work, may func(name string) bool) (int, iter.Seq[credential.Listing]), flush func() error) error {
	present, leave := whilePresent(ctx)
	defer leave()
	work := s.server.cfg.Throttle.Begin(present)
	defer work.End()
	var n int
	var all iter.Seq[credential.Listing]
	s.timedWork(work, lookCost, func() {
		n, all = list(work, func(name string) bool { return s.rights.MayList(v, name) })
	})
	if present.Err() != nil {
		return errOver
	}
	s.out = s.codec.count(s.out, n)
	for l := range all {
		if len(s.out) >= maxOut {
			if err := flush(); err != nil {
				return err
			}
		}
		s.out = s.codec.listing(s.out, l)
	}
	if present.Err() != nil {
		return errOver
	}
	return nil
}

// whilePresent returns a context that ends only when the peer closes, and a function that releases
// its resources.
func whilePresent(ctx context.Context) (present context.Context, release func()) {
	present, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errGone) {
			cancel()
		}
	})
	return present, func() { stop(); cancel() }
}

// watch answers as list does, and then sends changes. It ends when the peer closes or sends
// anything, when the daemon stops, when the right ends, or when the peer reads too slowly. It ends
// by closing the connection: a watcher that has missed a change must not believe that nothing has
// changed.
func (s *session) watch(prefix []byte) action {
	if s.mayNotList(protocol.VerbWatch) {
		return s.deny(protocol.VerbWatch)
	}
	if !s.acquire(&s.user.watches, userWatches) {
		s.fail(errWatches)
		return more
	}
	under := string(prefix)
	granted := s.rights.MayListUnder(protocol.VerbWatch, under)
	s.job = s.whole(job{waits: true, last: true, run: func(ctx context.Context, flush func() error) error {
		defer s.release()
		var w Watch
		err := s.walk(ctx, flush, func() error {
			return s.listing(ctx, protocol.VerbWatch, func(work *throttle.Work, may func(string) bool) (n int, all iter.Seq[credential.Listing]) {
				n, all, w = s.server.cfg.Engine.Watch(work, under, may)
				return n, all
			}, flush)
		})
		if w == nil {
			return cmp.Or(err, errOver) // walk has answered that the user has too many lists
		}
		defer w.Close()
		if err != nil {
			return err
		}
		return s.tell(ctx, under, granted, w, flush)
	}})
	return wait
}

// tell writes changes, those that are pending in one write. granted says that WATCH is granted
// under prefix. If new rules revoke that, tell answers DENIED and ends: the watch would stay
// silent.
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

// endWatch answers DENIED, and logs it in the audit log.
func (s *session) endWatch() error {
	e := denied(protocol.VerbWatch)
	if s.mayNote(&s.user.denials, denialLines) {
		s.note(hclog.Warn, protocol.VerbWatch.String(), "-", string(e.Code))
	}
	s.fail(e)
	return errOver
}
