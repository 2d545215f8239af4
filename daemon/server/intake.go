package server

import (
	"context"
	"errors"

	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// The verbs that hand something in. What they carry (a grant, a code, a message) is as
// secret as any value: it goes to the engine or the inbox, and nowhere else.

func (s *session) put(name, value []byte) action {
	if !s.allowed(protocol.VerbPut, name) {
		return more
	}
	owned, given := string(name), secret.Text(value)
	return s.wait(func(ctx context.Context) error {
		if err := s.server.cfg.Engine.Put(ctx, owned, given); err != nil {
			return err
		}
		s.note(protocol.VerbPut, owned)
		s.out = protocol.AppendOK(s.out)
		return nil
	})
}

func (s *session) exchange(owner, code []byte) action {
	if !s.allowedOwner(protocol.VerbExchange, owner) {
		return more
	}
	owned, given := string(owner), secret.Text(code)
	return s.wait(func(ctx context.Context) error {
		customer, err := s.server.cfg.Engine.Exchange(ctx, owned, given)
		if err != nil {
			return ofOwner(err)
		}
		s.note(protocol.VerbExchange, customer)
		s.out = protocol.AppendCustomer(s.out, customer)
		return nil
	})
}

// push passes a callback on. fields are its signature, time stamp, nonce and text. The
// inbox logs what it was, so that both ways in leave the same trace.
func (s *session) push(owner []byte, fields [][]byte) action {
	if !s.allowedOwner(protocol.VerbPush, owner) {
		return more
	}
	if s.server.cfg.Inbox == nil {
		s.fail(errNoOwner)
		return more
	}
	owned := string(owner)
	signature, timestamp, nonce, encrypt := string(fields[0]), string(fields[1]), string(fields[2]), string(fields[3])
	return s.wait(func(ctx context.Context) error {
		if err := s.server.cfg.Inbox.Receive(ctx, owned, signature, timestamp, nonce, encrypt); err != nil {
			return ofOwner(err)
		}
		s.out = protocol.AppendOK(s.out)
		return nil
	})
}

// importPage takes in one page of an owner's customers.
func (s *session) importPage(owner, offset []byte) action {
	if !s.allowedOwner(protocol.VerbImport, owner) {
		return more
	}
	owned := string(owner)
	from, _ := protocol.ParseOffset(offset) // Parse has looked at it
	return s.wait(func(ctx context.Context) error {
		page, err := s.server.cfg.Engine.Import(ctx, owned, from)
		if err != nil {
			return ofOwner(err)
		}
		s.note(protocol.VerbImport, owned)
		s.out = protocol.AppendImportPage(s.out, protocol.ImportPage{Total: page.Total, Kept: page.Kept, Next: page.Next})
		return nil
	})
}

// note says in the log who has handed something in. It was granted to few, and
// somebody will want to know.
func (s *session) note(v protocol.Verb, name string) {
	s.server.log.Info("handed in", "verb", v.String(), "name", name, "uid", s.peer.UID, "pid", s.peer.PID)
}

// ofOwner puts an owner that does not exist into the words for one that may not be seen.
func ofOwner(err error) error {
	if e, ok := errors.AsType[*refresh.Error](err); ok && e.Reason == refresh.NotFound {
		return errNoOwner
	}
	return err
}
