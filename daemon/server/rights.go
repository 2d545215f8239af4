package server

import (
	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
	"tokend/protocol"
)

// This file decides what a session's peer may do, and answers requests that are denied.

// renewRights decides what the peer may do, once for the connection, and again after the rules have
// changed.
func (s *session) renewRights() {
	rules := s.server.rules.Load()
	if rules == s.rules {
		return
	}
	if rules.NeedGroups() && s.late != nil {
		groups, err := s.late.groups()
		if err != nil { // rules for its uid still apply
			s.server.log.Warn("groups of a peer unknown", "uid", s.peer.UID, "pid", s.peer.PID, "error", err)
		}
		s.peer.Groups, s.late = groups, nil
	}
	s.rules, s.rights = rules, s.user.rightsOf(rules, s.peer)
}

// mayGet reports whether the peer may GET name. It does not allocate.
func (s *session) mayGet(name []byte) bool {
	return s.rights.Everywhere(protocol.VerbGet) || s.rights.MayLike(&s.granted, protocol.VerbGet, name)
}

// allowed reports whether the peer may use v on name. If not, it answers; next is what the driver
// is to do then.
func (s *session) allowed(v protocol.Verb, name []byte) (next action, ok bool) {
	granted, visible := s.rights.May(v, name)
	if granted {
		return more, true
	}
	return s.refuse(v, name, visible, errNotFound), false
}

// allowedOwner is allowed for an owner.
func (s *session) allowedOwner(v protocol.Verb, owner []byte) (next action, ok bool) {
	granted, visible := s.rights.MayOwn(v, owner)
	if granted {
		return more, true
	}
	return s.refuse(v, owner, visible, errNoOwner), false
}

// refuse answers with hidden, or with DENIED if name is visible. The audit log has which it was.
// For a hidden name nothing is looked up, so the time of the reply does not reveal whether it
// exists.
func (s *session) refuse(v protocol.Verb, name []byte, visible bool, hidden *protocol.Error) action {
	e := refusal(v, visible, hidden)
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

// refusal is the error for a peer that may not use v on a name.
func refusal(v protocol.Verb, visible bool, hidden *protocol.Error) *protocol.Error {
	if visible {
		return denied(v)
	}
	return hidden
}

// deny refuses a verb without a name.
func (s *session) deny(v protocol.Verb) action {
	return s.refuse(v, []byte("-"), true, nil)
}

// denied is the error for a peer that may not use v.
func denied(v protocol.Verb) *protocol.Error {
	return &protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never,
		Message: v.String() + " is not granted to this user"}
}

// decision is the rights of a peer under one set of rules.
type decision struct {
	by     *access.Rules
	peer   access.Peer
	rights *access.Rights
}

// rightsOf returns what p, a peer of u, may do. It decides again only if the result may have
// changed. So the connections of a user share one decision, and a client that connects for one
// request does not wait for it.
func (u *user) rightsOf(rules *access.Rules, p access.Peer) *access.Rights {
	d := u.decided.Load()
	if d == nil || d.by != rules || !rules.Same(d.peer, p) {
		d = &decision{rules, p, rules.Of(p)}
		u.decided.Store(d)
	}
	return d.rights
}
