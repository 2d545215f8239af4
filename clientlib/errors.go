package clientlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"tokend/protocol"
)

// Error is a refusal by the daemon, with a code and the time after which asking
// again may help: use errors.AsType[*clientlib.Error], or errors.Is with one of the codes
// below. A malformed name, value or other field is refused as the daemon would refuse
// it, without asking.
type Error = protocol.Error

// Never is the RetryAfter of an Error that waiting does not mend.
const Never = protocol.Never

// The codes of an [*Error], for errors.Is. The specification, package protocol,
// says when each is answered.
const (
	ErrBadRequest  = protocol.BadRequest  // malformed, or not what belongs there
	ErrNotFound    = protocol.NotFound    // not configured, or not visible to this user
	ErrDenied      = protocol.Denied      // not granted to this user, a grant, or a wrong signature
	ErrWaiting     = protocol.Waiting     // WeChat has not pushed it yet
	ErrUpstream    = protocol.Upstream    // WeChat refused: the message begins with errcode=
	ErrUnavailable = protocol.Unavailable // WeChat could not be reached
	ErrLimited     = protocol.Limited     // a quota
	ErrReauth      = protocol.Reauth      // the customer must authorise again
	ErrBusy        = protocol.Busy        // the daemon's own limits
	ErrShutdown    = protocol.Shutdown    // the daemon is stopping
	ErrInternal    = protocol.Internal    // a fault of the daemon; its log says more
)

var (
	// ErrNoDaemon says that nothing listens at the socket: tokend is not
	// running, or listens elsewhere.
	ErrNoDaemon = errors.New("clientlib: no daemon at the socket")

	// ErrClosed is the answer of a Client or a Watcher after Close.
	ErrClosed = errors.New("clientlib: closed")

	// ErrMalformed says that what answers at the socket does not speak the
	// protocol.
	ErrMalformed = protocol.ErrMalformed
)

// answered reports whether err is what the daemon said: a refusal, or nothing at all.
func answered(err error) bool {
	if err == nil {
		return true
	}
	_, refused := errors.AsType[*Error](err)
	return refused
}

// resumable reports whether a connection can carry another request after one that
// ended with err. It can only if the reply arrived whole. After SHUTDOWN it is
// about to be closed.
func resumable(err error) bool { return answered(err) && !errors.Is(err, ErrShutdown) }

// repeatable reports whether a request that failed with err on a connection
// from the pool may be sent once more, on a new one. It may if the connection had
// been closed under it: no byte of a reply has arrived, and nobody's time is up.
// Requests that must not be made twice never get here; see pooled.
func repeatable(err error, replyBegun bool) bool {
	return !answered(err) && !replyBegun && !timeUp(err) && !errors.Is(err, ErrMalformed)
}

// timeUp reports whether err is a deadline's or a cancelled context's.
func timeUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

// pooled reports whether a request may be sent on a connection from the pool, which may be a dead
// one. Those may not of which a second one is not as good as the first, when it cannot be known
// whether that was carried out: REFRESH spends quota, EXCHANGE a code, and the second IMPORT of a
// page counts nothing new. WATCH keeps its connection.
func pooled(verb protocol.Verb) bool {
	switch verb {
	case protocol.VerbRefresh, protocol.VerbExchange, protocol.VerbImport, protocol.VerbWatch:
		return false
	}
	return true
}

// explain makes err say what was asked and why it failed, in terms of ctx
// where ctx is why. subject is a name or a prefix, never a value.
func explain(ctx context.Context, verb protocol.Verb, subject string, err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err), errors.Is(err, ErrMalformed), errors.Is(err, ErrNoDaemon), errors.Is(err, ErrClosed):
		// says why by itself, whatever ctx says meanwhile
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded):
		err = context.DeadlineExceeded // ctx is about to say the same
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("connection closed by the daemon: %w", io.ErrUnexpectedEOF)
	}
	if subject != "" {
		return fmt.Errorf("%s %s: %w", verb, subject, err)
	}
	return fmt.Errorf("%s: %w", verb, err)
}
