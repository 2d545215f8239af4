package server

import (
	"context"
	"errors"

	"tokend/daemon/credential"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// The verbs that submit a value: a grant, a code or a message. It is as secret as any credential,
// and is passed to the engine or the inbox only.

func (s *session) put(name, value []byte) action {
	if next, ok := s.allowed(protocol.VerbPut, name); !ok {
		return next
	}
	d := credential.Deposit{Name: string(name), Value: secret.Text(value)}
	if !s.mayWait(credential.OwnerOf(d.Name)) {
		return more
	}
	s.job = job{waits: true, brief: true, deposit: d}
	return wait
}

// store stores d.
func (s *session) store(ctx context.Context, d credential.Deposit) error {
	return s.waiting(ctx, func(ctx context.Context) error {
		err := s.server.cfg.Engine.Put(ctx, d.Name, d.Value)
		s.done(ctx, protocol.VerbPut, d.Name, err)
		if err == nil {
			s.out = s.codec.ok(s.out)
		}
		return err
	})
}

func (s *session) exchange(owner, code []byte) action {
	if next, ok := s.allowedOwner(protocol.VerbExchange, owner); !ok {
		return next
	}
	owned, given := string(owner), secret.Text(code)
	return s.wait(owned, func(ctx context.Context) error {
		customer, err := s.server.cfg.Engine.Exchange(ctx, owned, given)
		if err != nil {
			s.done(ctx, protocol.VerbExchange, owned, err)
			return ofOwner(err)
		}
		s.done(ctx, protocol.VerbExchange, customer, nil)
		s.out = s.codec.customer(s.out, customer)
		return nil
	})
}

// push passes a callback to the inbox, which logs it. fields are its signature, timestamp, nonce
// and text.
func (s *session) push(owner []byte, fields [][]byte) action {
	if next, ok := s.allowedOwner(protocol.VerbPush, owner); !ok {
		return next
	}
	if s.server.cfg.Inbox == nil {
		s.fail(errNoOwner)
		return more
	}
	owned := string(owner)
	signature, timestamp, nonce, encrypt := string(fields[0]), string(fields[1]), string(fields[2]), string(fields[3])
	return s.wait(owned, func(ctx context.Context) error {
		err := s.server.cfg.Inbox.Receive(ctx, owned, signature, timestamp, nonce, encrypt)
		s.done(ctx, protocol.VerbPush, owned, err)
		if err == nil {
			s.out = s.codec.ok(s.out)
		}
		return ofOwner(err)
	})
}

// importPage imports one page of an owner's customers.
func (s *session) importPage(owner, offset []byte) action {
	if next, ok := s.allowedOwner(protocol.VerbImport, owner); !ok {
		return next
	}
	owned := string(owner)
	from, _ := protocol.ParseOffset(offset) // Parse has checked it
	return s.wait(owned, func(ctx context.Context) error {
		page, err := s.server.cfg.Engine.Import(ctx, owned, from)
		s.done(ctx, protocol.VerbImport, owned, err)
		if err != nil {
			return ofOwner(err)
		}
		s.out = s.codec.page(s.out, page)
		return nil
	})
}

// ofOwner replaces the error for an owner that does not exist by that for a hidden one.
func ofOwner(err error) error {
	if e, ok := errors.AsType[*credential.Error](err); ok && e.Reason == credential.NotFound {
		return errNoOwner
	}
	return err
}
