package credential

import (
	"fmt"
	"time"
)

// Reason is why the engine has no value to return. The protocol's error codes are the same words.
type Reason uint8

// Internal is the Reason of a fault of tokend itself. Its cause is logged and not shown to peers.
const Internal Reason = 0

// Reasons.
const (
	NotFound    Reason = iota + 1 // no such credential
	NoTicket                      // no pushed ticket, or it has expired
	Refused                       // WeChat refused; the message begins "errcode="
	Unreachable                   // WeChat could not be reached, or its answer was invalid
	Limited                       // a quota of WeChat, or tokend's guard before it
	Reauth                        // the customer must authorize again
	Busy                          // too many requests at once
	Stopping                      // the daemon is stopping
	Denied                        // not allowed this way: a grant is write-only
	Unfit                         // the submitted value does not belong there
)

var reasonNames = [...]string{"internal", "not_found", "waiting", "upstream", "unavailable", "limited", "reauth", "busy", "shutdown", "denied", "bad_request"}

// ReasonCount is the number of reasons, including Internal.
const ReasonCount = len(reasonNames)

// String returns the word for r in a history.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", r)
}

// Never is the RetryAfter of an error that does not end by itself.
const Never time.Duration = -1

// Error is why a credential is unavailable.
type Error struct {
	Reason Reason

	// RetryAfter is the time until a request may succeed; Never if an operator must act first.
	RetryAfter time.Duration

	// Message may be shown to a peer: it contains no secret and no newline.
	Message string

	// Err is the cause, for the log; nil if Message says everything.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
