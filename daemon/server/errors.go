package server

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// Errors of the server itself. They are shared and never modified.
var (
	errNotFound  = &protocol.Error{Code: protocol.NotFound, RetryAfter: protocol.Never, Message: "no such credential"}
	errNoOwner   = &protocol.Error{Code: protocol.NotFound, RetryAfter: protocol.Never, Message: "no such owner"}
	errStopping  = &protocol.Error{Code: protocol.Shutdown, RetryAfter: time.Second, Message: "the daemon is stopping"}
	errTooMany   = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many connections"}
	errWaits     = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many requests of this user are waiting"}
	errWatches   = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many watches of this user"}
	errChannels  = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many channels of this user"}
	errLists     = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many lists of this user are being written"}
	errBackups   = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "another backup is being made"}
	errNoBackup  = &protocol.Error{Code: protocol.NotFound, RetryAfter: protocol.Never, Message: "nothing is kept that could be backed up"}
	errNoReload  = &protocol.Error{Code: protocol.NotFound, RetryAfter: protocol.Never, Message: "there is no configuration that could be read again"}
	errLong      = &protocol.Error{Code: protocol.Busy, RetryAfter: time.Second, Message: "too many long lines of this user are under way; closing the connection"}
	errNotTicket = &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never,
		Message: "SIGN: only a jsapi_ticket or an agent_config_ticket signs"}
	errInternal = &protocol.Error{Code: protocol.Internal, RetryAfter: protocol.Never, Message: "internal error"}
)

// codes are the protocol's codes for the engine's reasons.
var codes = map[credential.Reason]protocol.Code{
	credential.NotFound:    protocol.NotFound,
	credential.NoTicket:    protocol.Waiting,
	credential.Refused:     protocol.Upstream,
	credential.Unreachable: protocol.Unavailable,
	credential.Limited:     protocol.Limited,
	credential.Reauth:      protocol.Reauth,
	credential.Busy:        protocol.Busy,
	credential.Stopping:    protocol.Shutdown,
	credential.Denied:      protocol.Denied,
	credential.Unfit:       protocol.BadRequest,
}

// codeOf is the only function that turns an error into a reply. An unknown error becomes
// errInternal, which has no details.
func codeOf(err error) *protocol.Error {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*credential.Error](err); ok {
		code, known := codes[e.Reason]
		switch {
		case !known:
			return errInternal
		case code == protocol.NotFound:
			return errNotFound // the same reply as for a hidden name
		}
		return &protocol.Error{Code: code, RetryAfter: max(e.RetryAfter, protocol.Never), Message: e.Message}
	}
	switch {
	case errors.Is(err, context.Canceled):
		// The server stops. Or the peer has closed, and does not read this.
		return errStopping
	case errors.Is(err, context.DeadlineExceeded):
		return &protocol.Error{Code: protocol.Unavailable, RetryAfter: time.Second, Message: "timed out; the operation continues"}
	}
	return errInternal
}

// reportFault logs a fault, and returns the number of the log line. A user can cause any number of
// faults while the disk refuses writes, so the lines are limited. If the line is omitted, the
// number is that of the last one, and the next line says how many were omitted.
func (s *session) reportFault(err error) (id string) {
	u := s.user
	if !u.unreported.allow(s.server.clock(), &u.faults, faultLines, &s.server.reports) {
		return faultID(cmp.Or(u.fault.Load(), s.server.faults.Load()))
	}
	n := s.server.faults.Add(1)
	u.fault.Store(n)
	args := []any{"request", faultID(n), "uid", s.peer.UID, "pid", s.peer.PID, "error", err}
	s.server.log.Error("internal error", u.unreported.tell(args)...)
	return faultID(n)
}

func faultID(n uint32) string { return strconv.FormatUint(uint64(n), 16) }
