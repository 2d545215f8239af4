package server

import (
	"context"
	"errors"
	"strings"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// feed is the changes that a session sends while it waits for the next request. WATCH is another
// way to get changes: nothing is requested after it.
type feed struct {
	watch   Watch
	prefix  string
	pending []credential.Listing // taken from an earlier watch

	// renew decides again whether there is something to follow, after the rules or the aliases have
	// changed. It reports whether the session can follow that.
	renew func() bool
}

// errInput is the cause of a job's ctx that has ended because the peer has sent something.
var errInput = errors.New("the peer has sent something")

// follow makes the session send changes under prefix from now on. It reports whether the user may
// have one more watch.
func (s *session) follow(prefix string, renew func() bool) bool {
	if s.feed == nil {
		if !s.user.watches.enter(s.user.bound(userWatches)) {
			return false
		}
		s.feed = &feed{watch: s.server.cfg.Engine.Subscribe(prefix), prefix: prefix, renew: renew}
		return true
	}
	if f := s.feed; !strings.HasPrefix(prefix, f.prefix) {
		wider := s.server.cfg.Engine.Subscribe(prefix)
		for more := true; more; { // a change may be in both: then it is sent twice
			changes, _ := f.watch.Take()
			f.pending = append(f.pending, changes...)
			select {
			case <-f.watch.Ready():
			default:
				more = false
			}
		}
		f.watch.Close()
		f.watch, f.prefix = wider, prefix
	}
	return true
}

// unfollow ends follow.
func (s *session) unfollow() {
	if s.feed != nil {
		s.feed.watch.Close()
		s.feed = nil
		s.user.watches.leave()
	}
}

// listen makes a job that sends changes until the peer sends something.
func (s *session) listen() action {
	s.job = job{waits: true, yields: true, run: s.deliver}
	return wait
}

// deliver sends changes until ctx ends, or there is nothing to follow any more. It ends by closing
// the connection if the peer reads too slowly, as a watch does.
func (s *session) deliver(ctx context.Context, flush func() error) error {
	for {
		s.renewRights()
		rules := s.rules
		if !s.feed.renew() {
			return errOver // it would miss changes
		}
		f := s.feed
		if f == nil {
			return nil
		}
		changes, open := f.watch.Take()
		for _, l := range append(f.pending, changes...) {
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
		f.pending = nil
		if err := flush(); err != nil {
			return err
		}
		if !open {
			return errOver
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errInput) {
				return nil
			}
			return errOver
		case <-f.watch.Ready():
		case <-rules.Replaced():
		}
	}
}
