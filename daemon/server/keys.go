package server

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// This file answers requests for several names at once, and requests of programs that take
// credentials for entries of a cache. A request of n names counts as n requests.

// begin counts a request of v that is not answered by call.
func (s *session) begin(v protocol.Verb) {
	s.verb = v
	s.user.stats.asked[v].Add(1)
}

// payRequests charges n further requests to the user's allowance. If it does not cover them, draw
// makes the next request wait.
func (s *session) payRequests(n int) {
	if s.user.operator || n <= 0 {
		return
	}
	limits, now := s.server.limits.Load(), s.server.clock()
	if wait := s.user.pace.take(now, limits.pace, n); wait > 0 {
		s.payLater(now + wait)
	}
}

// permitted is allowed for a job. It returns what allowed would answer.
func (s *session) permitted(v protocol.Verb, name string) error {
	granted, visible := s.rights.May(v, []byte(name))
	if granted {
		return nil
	}
	e := refusal(v, visible, errNotFound)
	if s.mayNote(&s.user.denials, denialLines) {
		s.note(hclog.Warn, v.String(), name, string(e.Code))
	}
	return e
}

// absent reports whether err says that there is no such credential, or that it is hidden.
func absent(err error) bool { return err != nil && codeOf(err).Code == protocol.NotFound }

// waitForEach makes a job of ask, which may wait for several owners in turn, each by waitFor.
func (s *session) waitForEach(ask func(ctx context.Context, flush func() error) error) action {
	s.job = job{waits: true, run: func(ctx context.Context, flush func() error) error {
		var unwritten error
		err := s.waiting(ctx, func(ctx context.Context) error {
			return ask(ctx, func() error {
				unwritten = flush()
				return unwritten
			})
		})
		return cmp.Or(unwritten, err)
	}}
	return wait
}

// waitFor calls ask as one of the user's waiting requests.
func (s *session) waitFor(name string, ask func() error) error {
	w, owner := &s.user.waits, credential.OwnerOf(name)
	if !w.enter(owner, s.user.bound(s.server.limits.Load().waits)) {
		return errWaits
	}
	defer w.leave(owner)
	return ask()
}

// getEach passes the values of names to answer, which appends the reply; the zero value for a name
// without a credential. "" is no name. If there is an error for any other, it is the reply. answer
// may call flush, which is nil if the values fit in out.
func (s *session) getEach(names []string, answer func(all []credential.Value, flush func() error) error) action {
	s.verb = protocol.VerbGet
	s.payRequests(len(names) - 1)
	all := make([]credential.Value, len(names))
	if s.hitEach(names, all) {
		s.countEach(all)
		_ = answer(all, nil) // it has nothing to write
		return more
	}
	return s.waitForEach(func(ctx context.Context, flush func() error) error {
		ends := make([]time.Duration, len(names)) // of the values, by the server's clock
		for got := true; got; {                   // until none has expired while others were fetched
			got = false
			for i, name := range names {
				if name == "" || s.server.clock() < ends[i] {
					continue
				}
				v, err := s.getOne(ctx, name)
				switch {
				case err == nil:
					all[i], ends[i], got = v, s.server.clock()+v.TTL, true
				case absent(err):
					all[i], ends[i] = credential.Value{}, math.MaxInt64
				default:
					return err
				}
			}
		}
		s.countEach(all)
		_ = answer(all, flush) // the error is the connection's, see waitForEach
		return nil
	})
}

// hitEach sets all to the values of names, and reports whether all that have a name are cached, may
// be read, and fit in out.
func (s *session) hitEach(names []string, all []credential.Value) bool {
	size, hits := len(s.out), int64(0)
	for i, name := range names {
		if name == "" {
			continue
		}
		key := []byte(name)
		if !s.mayGet(key) {
			return false
		}
		v, ok := s.cached(key)
		if size += len(v.Text); !ok || size > maxOut {
			return false
		}
		all[i] = v
		hits++
	}
	s.tally.reads += hits
	s.tally.hits += hits
	return true
}

// getOne returns the value of name, and waits for it if need be.
func (s *session) getOne(ctx context.Context, name string) (v credential.Value, err error) {
	s.user.stats.asked[protocol.VerbGet].Add(1)
	if err := s.permitted(protocol.VerbGet, name); err != nil {
		return v, err
	}
	s.tally.reads++
	s.now = 0
	if v, ok := s.cached([]byte(name)); ok {
		return v, nil
	}
	s.user.stats.waits.Add(1)
	err = s.waitFor(name, func() error {
		v, err = s.server.cfg.Engine.Get(ctx, name)
		return err
	})
	return v, err
}

// countEach counts the reads of all that have a value.
func (s *session) countEach(all []credential.Value) {
	for _, v := range all {
		if v.Text == "" {
			continue
		}
		s.count(v)
		if len(v.Text) > longText {
			s.payFor(len(v.Text))
		}
	}
}

// existing passes to answer how many of names are credentials that the peer may read.
func (s *session) existing(names []string, answer func(n int)) action {
	s.payRequests(len(names) - 1)
	s.begin(protocol.VerbGet)
	run := func(func() error) error {
		n := 0
		for _, name := range names {
			switch _, err := s.find(protocol.VerbGet, name); {
			case err == nil:
				n++
			case !absent(err):
				s.fail(err)
				return nil
			}
		}
		answer(n)
		return nil
	}
	if s.rights.Everywhere(protocol.VerbGet) {
		_ = run(nil) // nothing to note, and nothing to wait for
		return more
	}
	return s.do(run)
}

// find returns the class of name, on which the peer may use v. The name of a hidden credential is
// not looked up.
func (s *session) find(v protocol.Verb, name string) (credential.Class, error) {
	if name == "" {
		return 0, errNotFound
	}
	if err := s.permitted(v, name); err != nil {
		return 0, err
	}
	return s.server.cfg.Engine.Class(name)
}

// dropAge is the age below which a value is not dropped: another client has dropped the one before.
const dropAge = 10 * time.Second

var errUndeletable = &protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never,
	Message: "pushed tickets and grants cannot be deleted"}

// drop rejects the values of names, unless they are younger than dropAge, waits for other values,
// and passes to answer how many of names are credentials. Nothing is rejected if one of them is not
// to be. That a value cannot be replaced is for the next reader to see.
func (s *session) drop(names []string, answer func(n int)) action {
	s.payRequests(len(names) - 1)
	s.begin(protocol.VerbReject)
	return s.waitForEach(func(ctx context.Context, _ func() error) error {
		var known []string
		for _, name := range names {
			switch class, err := s.find(protocol.VerbReject, name); {
			case absent(err), slices.Contains(known, name):
			case err != nil:
				return err
			case class != credential.Fetched:
				return errUndeletable
			default:
				known = append(known, name)
			}
		}
		for _, name := range known {
			if err := s.dropOne(ctx, name); errors.Is(err, errWaits) || ctx.Err() != nil && !errors.Is(err, context.DeadlineExceeded) {
				return cmp.Or(err, ctx.Err())
			}
		}
		answer(len(known))
		return nil
	})
}

// dropOne rejects the value of name.
func (s *session) dropOne(ctx context.Context, name string) error {
	s.user.stats.rejects.Add(1)
	audited := s.mayNote(&s.user.acts, actLines)
	err := s.waitFor(name, func() error { return s.server.cfg.Engine.RejectOlder(ctx, name, dropAge) })
	if audited {
		s.noteEnd(ctx, protocol.VerbReject, name, err)
	}
	return err
}
