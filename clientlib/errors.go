package clientlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"tokend/protocol"
)

// Error is an error reply of the daemon, with a code and the time after which a retry may help. Use
// errors.AsType[*clientlib.Error], or errors.Is with one of the codes below. Malformed names,
// values and other fields result in the daemon's error without a request. A code of a later version
// becomes [ErrInternal] if RetryAfter is [Never], and [ErrUnavailable] otherwise.
type Error = protocol.Error

// Never is the RetryAfter of an Error for which a retry does not help.
const Never = protocol.Never

// The codes of an [*Error], for errors.Is. docs/protocol.md specifies when the daemon sends each.
const (
	ErrBadRequest  = protocol.BadRequest  // malformed, or not the expected value
	ErrNotFound    = protocol.NotFound    // not configured, or hidden from this user
	ErrDenied      = protocol.Denied      // not permitted to this user, a grant, or a wrong signature
	ErrWaiting     = protocol.Waiting     // WeChat has not pushed it yet
	ErrUpstream    = protocol.Upstream    // WeChat refused: the message begins with errcode=
	ErrUnavailable = protocol.Unavailable // WeChat is unreachable
	ErrLimited     = protocol.Limited     // a quota
	ErrReauth      = protocol.Reauth      // the customer must authorize again
	ErrBusy        = protocol.Busy        // a limit of the daemon
	ErrShutdown    = protocol.Shutdown    // the daemon is stopping
	ErrInternal    = protocol.Internal    // a fault of the daemon; see its log
)

var (
	// ErrNoDaemon means that nothing listens at the socket: tokend is not running or uses another
	// path.
	ErrNoDaemon = errors.New("clientlib: no daemon at the socket")

	// ErrClosed is returned by a Client or a Watcher after Close.
	ErrClosed = errors.New("clientlib: closed")

	// ErrMalformed means that the peer at the socket does not speak the protocol.
	ErrMalformed = protocol.ErrMalformed
)

// known replaces a code of a later version of the daemon, so that callers need to know only the
// codes above. The message then begins with the received code.
func known(err error) error {
	refusal, ok := errors.AsType[*Error](err)
	if !ok || slices.Contains(protocol.Codes(), refusal.Code) {
		return err
	}
	code := ErrUnavailable
	if refusal.RetryAfter == Never {
		code = ErrInternal
	}
	return &Error{Code: code, RetryAfter: refusal.RetryAfter, Message: string(refusal.Code) + ": " + refusal.Message}
}

// answered reports whether err is a complete reply: nil or an error reply.
func answered(err error) bool {
	if err == nil {
		return true
	}
	_, refused := errors.AsType[*Error](err)
	return refused
}

// resumable reports whether a connection can carry another request after a request that returned
// err. That requires a complete reply. After SHUTDOWN the daemon closes the connection.
func resumable(err error) bool { return answered(err) && !errors.Is(err, ErrShutdown) }

// repeatable reports whether a request that failed with err may be sent again on a new connection.
// It may if the connection had been closed: no byte of a reply has arrived and no time limit has
// passed. For requests that must not be sent twice, see pooled.
func repeatable(err error, replyBegun bool) bool {
	return !answered(err) && !replyBegun && !timeUp(err) && !errors.Is(err, ErrMalformed)
}

// timeUp reports whether err comes from a deadline or a canceled context.
func timeUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

// pooled reports whether a request may use a pooled connection, which may be dead, and may be sent
// again after its connection was closed. The first one may have been executed: REFRESH would spend
// quota twice, EXCHANGE would use a code twice, and the second IMPORT of a page would count no new
// grants. WATCH keeps its connection.
func pooled(verb protocol.Verb) bool {
	switch verb {
	case protocol.VerbRefresh, protocol.VerbExchange, protocol.VerbImport, protocol.VerbWatch:
		return false
	}
	return true
}

// explain adds the request to err, and replaces err by ctx's error where ctx is the cause. subject
// is a name or a prefix, never a value.
func explain(ctx context.Context, verb protocol.Verb, subject string, err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err), errors.Is(err, ErrMalformed), errors.Is(err, ErrNoDaemon), errors.Is(err, ErrClosed):
		// err gives the reason, even if ctx is done now
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded):
		err = context.DeadlineExceeded // the connection's deadline fires shortly before ctx
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("connection closed by the daemon: %w", io.ErrUnexpectedEOF)
	}
	if subject != "" {
		return fmt.Errorf("%s %s: %w", verb, subject, err)
	}
	return fmt.Errorf("%s: %w", verb, err)
}
