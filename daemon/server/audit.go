package server

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

	"tokend/protocol"
)

// audit is the log of who has done, or was kept from doing, what changes something: one
// line for each, with the constant phrase "audit" and the keys
//
//	verb     the protocol's, or CONNECT
//	name     the credential or the owner; "-" for none
//	uid      who the kernel says it was
//	user     the name of that uid, or the number again
//	pid      the process that connected; 0 where the system does not tell
//	unit     its systemd unit; "-" where that is not known
//	outcome  "ok", the code of the error that was answered, "gone" where the peer had left before
//	         the outcome was known, or, for CONNECT, "no_rule"
//	unsaid   how many lines of this user were left out before this one; absent for none
//
// Never a value, a code, a message or an error's text. What was done is logged at level info,
// what was refused at warn. Lines of what anybody can do at will are bounded for each user, so that
// the log is no amplifier; what has been left out is counted, in STATS too.
type audit struct {
	log   hclog.Logger
	lines bucket // of all users together
	names names
}

// What the audit says of what happens before there is a request.
const (
	connect = "CONNECT" // the verb
	noRule  = "no_rule" // the outcome for a peer that no rule says anything of
)

// done notes that v of name, which ctx bounded, ended with err, as far as there may be a line.
func (s *session) done(ctx context.Context, v protocol.Verb, name string, err error) {
	if err == nil && always(v) || s.mayNote(&s.user.acts, actLines) {
		s.noteEnd(ctx, v, name, err)
	}
}

// noteEnd is done where there may be a line.
func (s *session) noteEnd(ctx context.Context, v protocol.Verb, name string, err error) {
	switch {
	case err == nil:
		s.note(hclog.Info, v.String(), name, "ok")
	case errors.Is(context.Cause(ctx), errGone):
		s.note(hclog.Warn, v.String(), name, "gone")
	default:
		s.note(hclog.Warn, v.String(), name, string(codeOf(err).Code))
	}
}

// always reports whether every v that succeeds is noted. These are an operator's, or granted to
// few, and each has cost a call or a write to disk: they cannot flood anything.
func always(v protocol.Verb) bool {
	switch v {
	case protocol.VerbRefresh, protocol.VerbPut, protocol.VerbExchange, protocol.VerbImport, protocol.VerbBackup,
		protocol.VerbReload:
		return true
	}
	return false
}

// mayNote takes from b and from what all users share; what it refuses, it counts.
func (s *session) mayNote(b *bucket, r rate) bool {
	may := s.user.unsaid.allow(s.server.clock(), b, r, &s.server.audit.lines)
	if !may {
		s.user.stats.unaudited.Add(1)
	}
	return may
}

// note writes the line. It asks the system who the peer is, which may take its time: call it
// in a job.
func (s *session) note(level hclog.Level, verb, name, outcome string) {
	if level < s.server.audit.log.GetLevel() {
		return // nobody hears of it
	}
	if s.unit == "" {
		s.unit = unitOf(s.peer)
	}
	args := []any{"verb", verb, "name", name, "uid", s.peer.UID, "user", s.server.audit.names.of(s.peer.UID),
		"pid", s.peer.PID, "unit", s.unit, "outcome", outcome}
	s.server.audit.log.Log(level, "audit", s.user.unsaid.tell(args)...)
}

// greet notes a peer that has connected without any right: there are rules, and none is for it.
// Next is what the driver is to do first.
func (s *session) greet() (next action) {
	s.renewRights()
	if !s.rights.None() || !s.mayNote(&s.user.denials, denialLines) {
		return more
	}
	return s.do(func(func() error) error {
		s.note(hclog.Warn, connect, "-", noRule)
		return nil
	})
}
