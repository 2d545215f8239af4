package server

import (
	"context"
	"errors"
	"strings"

	"tokend/protocol"
)

// reload reloads the configuration. Rules cannot grant it: a user that could change the rules by it
// would need no other right.
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

// refused returns what is wrong with a configuration. Operators alone see that, and it contains no
// secret.
func refused(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // the configuration may be valid: there was no time
	}
	return &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never, Message: "the old configuration stays: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
}
