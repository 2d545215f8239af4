package server

import (
	"context"
	"errors"
	"strings"

	"tokend/protocol"
)

// reload puts the configuration in force as it is now. It is for operators, whatever the rules say:
// who could change the rules by it needs none.
func (s *session) reload() action {
	if !s.rights.Everywhere(protocol.VerbReload) {
		return s.deny(protocol.VerbReload)
	}
	if s.server.cfg.Reload == nil {
		s.fail(errNoReload)
		return more
	}
	return s.wait("", func(ctx context.Context) error {
		err := refused(s.server.cfg.Reload(ctx))
		s.done(ctx, protocol.VerbReload, "-", err)
		if err == nil {
			s.out = s.codec.ok(s.out)
		}
		return err
	})
}

// refused says of a configuration what is wrong with it, which holds no secret and is told to
// operators only.
func refused(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // nothing is wrong with it: there was no time for it
	}
	return &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never, Message: "the old configuration stays: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
}
