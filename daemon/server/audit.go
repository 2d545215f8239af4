package server

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

	"tokend/protocol"
)

// audit logs the requests that change something, and those that were refused. Each line has the
// message "audit" and the keys
//
//	verb     the protocol's, or CONNECT
//	name     the credential or the owner; "-" for none
//	uid      of the peer, from the kernel
//	user     the name of that uid, or the number
//	pid      of the process that connected; 0 if the system does not report it
//	unit     its systemd unit; "-" if unknown
//	outcome  "ok", the code of the error that was answered, "gone" if the peer had closed before
//	         the outcome was known, or "no_rule" for CONNECT
//	omitted  number of this user's lines that were omitted before this one; absent for none
//
// No line has a value, a code, a message or an error's text. Successful requests are logged at
// level info, others at warn. Lines about requests that any user can repeat are limited for each
// user. STATS counts the omitted ones.
type audit struct {
	log   hclog.Logger
	lines bucket // of all users together
	names names
}

// The audit line of a peer without any right, before its first request.
const (
	connect = "CONNECT" // the verb
	noRule  = "no_rule" // the outcome for a peer that no rule matches
)

// done logs that v of name, which ctx bounded, ended with err, unless the line is omitted.
func (s *session) done(ctx context.Context, v protocol.Verb, name string, err error) {
	if err == nil && always(v) || s.mayNote(&s.user.acts, actLines) {
		s.noteEnd(ctx, v, name, err)
	}
}

// noteEnd is done without a limit.
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

// always reports whether every successful v is logged. These verbs are for operators, or granted to
// few users, and each costs a call or a write to disk: they cannot flood the log.
func always(v protocol.Verb) bool {
	switch v {
	case protocol.VerbRefresh, protocol.VerbPut, protocol.VerbExchange, protocol.VerbImport, protocol.VerbBackup,
		protocol.VerbReload:
		return true
	}
	return false
}

// mayNote takes a line from b and from the allowance that all users share. It counts omitted lines.
func (s *session) mayNote(b *bucket, r rate) bool {
	may := s.user.unaudited.allow(s.server.clock(), b, r, &s.server.audit.lines)
	if !may {
		s.user.stats.unaudited.Add(1)
	}
	return may
}

// note writes a line. It is called in a job, because looking up the user and the unit may be slow.
func (s *session) note(level hclog.Level, verb, name, outcome string) {
	if level < s.server.audit.log.GetLevel() {
		return // do not look up the unit for nothing
	}
	if s.unit == "" {
		s.unit = unitOf(s.peer)
	}
	args := []any{"verb", verb, "name", name, "uid", s.peer.UID, "user", s.server.audit.names.of(s.peer.UID),
		"pid", s.peer.PID, "unit", s.unit, "outcome", outcome}
	s.server.audit.log.Log(level, "audit", s.user.unaudited.tell(args)...)
}

// greet logs a peer that has connected without any right: there are rules, and none matches it.
// next is what the driver is to do first.
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
