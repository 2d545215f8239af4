package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"tokend/clientlib"
	"tokend/daemon/server/socket"
	"tokend/daemon/store"
	"tokend/protocol"
)

// Exit statuses; see the package comment.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitLater    = 4
	exitNoDaemon = 5
)

// byCode is the exit status for each error code of the daemon.
var byCode = map[protocol.Code]int{
	protocol.BadRequest:  exitUsage,
	protocol.NotFound:    exitNotFound,
	protocol.Denied:      exitNotFound,
	protocol.Waiting:     exitLater,
	protocol.Upstream:    exitFailed,
	protocol.Unavailable: exitLater,
	protocol.Limited:     exitLater,
	protocol.Reauth:      exitFailed,
	protocol.Busy:        exitLater,
	protocol.Shutdown:    exitLater,
	protocol.Internal:    exitFailed,
}

// status returns the exit status of a command.
func status(err error) int {
	if err == nil {
		return exitDone
	}
	if shown, ok := errors.AsType[statusError](err); ok {
		return int(shown)
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*configError](err); ok {
		return exitUsage
	}
	if refusal, ok := errors.AsType[*protocol.Error](err); ok {
		if s, known := byCode[refusal.Code]; known {
			return s
		}
		// For a code of a later version, RetryAfter decides.
		if refusal.RetryAfter >= 0 {
			return exitLater
		}
		return exitFailed
	}
	switch {
	case errors.Is(err, clientlib.ErrNoDaemon):
		return exitNoDaemon
	case errors.Is(err, fs.ErrPermission) && isAsked(err):
		return exitNotFound
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF) && isAsked(err):
		return exitLater
	}
	return exitFailed
}

// message returns the text of err for a terminal.
func message(err error) string {
	if asked, ok := errors.AsType[*askError](err); ok {
		switch {
		case errors.Is(err, clientlib.ErrNoDaemon):
			return "no daemon at " + asked.socket
		case errors.Is(err, fs.ErrPermission):
			return "no permission to open " + asked.socket
		case errors.Is(err, context.DeadlineExceeded):
			return "no answer within " + asked.timeout.String()
		case errors.Is(err, context.Canceled):
			return "interrupted"
		}
	}
	if refusal, ok := errors.AsType[*protocol.Error](err); ok {
		if refusal.Message == notStarting {
			return notStarting
		}
		text := string(refusal.Code) + ": " + refusal.Message
		if named, ok := errors.AsType[*namedError](err); ok {
			text = named.name + ": " + text
		}
		return text
	}
	if c, ok := errors.AsType[*configError](err); ok {
		return c.text()
	}
	text := strings.TrimPrefix(err.Error(), "clientlib: ")
	if _, ok := errors.AsType[*hintedError](err); ok {
		return text
	}
	// Errors that keep the daemon from running are one line, with advice.
	switch {
	case errors.Is(err, socket.ErrRunning):
		text += ": stop the other daemon, or configure another socket and state_dir"
	case errors.Is(err, store.ErrLocked):
		text += ": stop it, or configure another state_dir"
	}
	return text
}

// hint returns advice about err, or "".
func hint(err error) string {
	if h, ok := errors.AsType[*hintedError](err); ok {
		return h.hint
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		return u.hint()
	}
	if c, ok := errors.AsType[*configError](err); ok {
		return c.hint()
	}
	if i, ok := errors.AsType[*importError](err); ok && i.hint() != "" {
		return i.hint()
	}
	if refusal, ok := errors.AsType[*protocol.Error](err); ok {
		return refusalHint(refusal)
	}
	if asked, ok := errors.AsType[*askError](err); ok && errors.Is(err, fs.ErrPermission) {
		return closedSocket(asked.socket)
	}
	switch {
	case errors.Is(err, clientlib.ErrNoDaemon):
		return "start it with: systemctl start tokend, or: tokend serve --config FILE; for another socket use --socket or $TOKEND_SOCKET"
	case errors.Is(err, clientlib.ErrMalformed):
		return "another program listens at this socket"
	}
	return ""
}

// hintNoRule is for the verbs that no configuration grants: BACKUP and RELOAD.
const hintNoRule = "it requires root or tokend's own user; no [[access]] rule grants it"

func refusalHint(refusal *protocol.Error) string {
	switch refusal.Code {
	case protocol.NotFound:
		return "tokend list shows the existing names"
	case protocol.Denied:
		if refusal.Message == "write-only" {
			return "a grant is stored and used, but never shown: tokend status NAME shows its state"
		}
		return "[[access]] in the configuration grants verbs; root and tokend's own user have all rights"
	case protocol.Reauth:
		return "the customer must authorize; tokend receives WeChat's push, or use: tokend exchange OWNER CODE"
	case protocol.Upstream:
		return "tokend status NAME shows since when and why; after the fix: tokend refresh NAME"
	}
	if refusal.RetryAfter > 0 {
		return "retry in " + duration(refusal.RetryAfter)
	}
	return ""
}
