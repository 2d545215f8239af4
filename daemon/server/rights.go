package server

import (
	"github.com/hashicorp/go-hclog"

	"tokend/protocol"
)

// This file is what a session's peer may do, and how it is told what it may not.

// renewRights decides what the peer may do, once for the connection, and once more
// after the rules have changed.
func (s *session) renewRights() {
	a := s.server.access.Load()
	if a == s.access {
		return
	}
	if a.groups && s.late != nil {
		groups, err := s.late.groups()
		if err != nil { // the rules for its uid hold all the same
			s.server.log.Warn("the groups of a peer are not known", "uid", s.peer.UID, "pid", s.peer.PID, "error", err)
		}
		s.peer.Groups, s.late = groups, nil
	}
	s.access, s.rights = a, s.user.rightsOf(a, s.peer)
}

// mayGet reports whether the peer may GET name: what rights.may says, sooner where the last name
// was granted by the same grant, as those are that one program asks for. It does not allocate.
func (s *session) mayGet(name []byte) bool {
	r := s.rights
	if r.everywhere.has(protocol.VerbGet) {
		return true
	}
	if s.granted < len(r.grants) && gives(&r.grants[s.granted], protocol.VerbGet, name) {
		return true
	}
	for i := range r.grants {
		if gives(&r.grants[i], protocol.VerbGet, name) {
			s.granted = i
			return true
		}
	}
	return false
}

// allowed reports whether the peer may use v on name, and answers if it may not: next is what
// the driver is to do then.
func (s *session) allowed(v protocol.Verb, name []byte) (next action, ok bool) {
	granted, visible := s.rights.may(v, name)
	if granted {
		return more, true
	}
	return s.refuse(v, name, visible, errNotFound), false
}

// allowedOwner is allowed for an owner.
func (s *session) allowedOwner(v protocol.Verb, owner []byte) (next action, ok bool) {
	granted, visible := s.rights.mayOwn(v, owner)
	if granted {
		return more, true
	}
	return s.refuse(v, owner, visible, errNoOwner), false
}

// refuse answers with hidden, or says that v is not granted on what may be seen. The audit
// says which it was; the peer cannot tell, from the time it takes either, since nothing is
// looked up.
func (s *session) refuse(v protocol.Verb, name []byte, visible bool, hidden *protocol.Error) action {
	e := hidden
	if visible {
		e = denied(v)
	}
	if !s.mayNote(&s.user.denials, denialLines) {
		s.fail(e)
		return more
	}
	owned := string(name)
	return s.do(func(func() error) error {
		s.note(hclog.Warn, v.String(), owned, string(e.Code))
		s.fail(e)
		return nil
	})
}

// deny refuses a verb that goes without a name.
func (s *session) deny(v protocol.Verb) action {
	return s.refuse(v, []byte("-"), true, nil)
}

// denied is the answer to who may see, but not use v.
func denied(v protocol.Verb) *protocol.Error {
	return &protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never,
		Message: v.String() + " is not granted to this user"}
}
