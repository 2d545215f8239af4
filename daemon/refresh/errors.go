package refresh

import (
	"errors"
	"fmt"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/fetchers"
)

// errChanged tells callers that the entry has just lapsed or been replaced, and that they look the
// name up again.
var errChanged = &credential.Error{Reason: credential.Busy, RetryAfter: 1, Message: "changed this moment: ask again"}

// errContended says that records were changed by other hosts each time that this one looked.
var errContended = &credential.Error{Reason: credential.Unreachable, RetryAfter: time.Second, Message: "no call made: other hosts keep changing the records"}

// errDeadParent says that no call was made, because the parent's value has ended or been refused.
var errDeadParent = errors.New("the parent's value has expired or was rejected")

func unconfigured(name string) *credential.Error {
	return &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: fmt.Sprintf("%s is not configured any more", name)}
}

func stopping() *credential.Error {
	return &credential.Error{Reason: credential.Stopping, RetryAfter: time.Second, Message: "tokend is stopping"}
}

func writeOnly() *credential.Error {
	return &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "write-only"}
}

// nextPush is after how long it is worth looking for a ticket again. A push comes every ten
// minutes.
const nextPush = time.Minute

// noTicket is the error of a ticket that has not been pushed, or has expired.
func noTicket(name string) *credential.Error {
	return &credential.Error{Reason: credential.NoTicket, RetryAfter: nextPush, Message: name + " has not been pushed, or has expired"}
}

// guard returns the error of a limit of tokend's own, which why names, and which is over after
// wait.
func guard(why string, wait time.Duration) *credential.Error {
	return &credential.Error{Reason: credential.Limited, RetryAfter: wait, Message: "no call made: " + why}
}

// overspent returns the error of a call that a budget has no room for.
func overspent(r *quota.Refusal) *credential.Error { return guard(r.Why, r.Wait) }

// guardError says that tokend's own guard forbade the call.
type guardError struct {
	reply  *credential.Error
	forced bool // by the guard of forced refreshes, which says nothing of ordinary ones
	early  bool // it can wait, and says nothing of calls that cannot
}

func (e *guardError) Error() string { return e.reply.Message }

// parentError says that a parent cannot be had. The child makes no call then, and needs
// no hold of its own: it asks its parent again, which knows its own.
type parentError struct {
	parent string
	err    error
}

func (e *parentError) Error() string { return fmt.Sprintf("%s: %v", e.parent, e.err) }
func (e *parentError) Unwrap() error { return e.err }

// reply returns the error for readers of the child: the parent's own, if there is one.
func (e *parentError) reply(otherwise *credential.Error) *credential.Error {
	if of, ok := errors.AsType[*credential.Error](e.err); ok {
		return of
	}
	return otherwise
}

// faultError says that the fault is tokend's own: its disk's, or in its code. It is for the log;
// peers see no details.
type faultError struct{ err error }

func (e *faultError) Error() string { return e.err.Error() }
func (e *faultError) Unwrap() error { return e.err }

// lateError says that the answer was dead when it arrived.
type lateError struct{ life time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("answered a value that lives %s, less than the call took", e.life)
}

// endpointError says that no call was made, or that the call has caused the hold.
type endpointError struct{ hold *hold }

func (e *endpointError) Error() string { return e.hold.message }

// ownFault is what there is to tell a peer of a fault of tokend's own.
const ownFault = "a fault of tokend's own: its log says more"

// said returns, for a line of the log that shows err, what WeChat said where err shows tokend's own
// words instead: support asks for it.
func said(err error) []any {
	api, ok := errors.AsType[*fetchers.APIError](err)
	if !ok || api.Errmsg == "" || api.Errmsg == api.Msg {
		return nil
	}
	return []any{"errmsg", api.Errmsg}
}
