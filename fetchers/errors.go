package fetchers

import (
	"strconv"
	"time"
)

// Reaction is the action that an errcode calls for. The same number has different meanings on the
// Official Account side and on WeCom. The Reaction is therefore decided here, where platform and
// endpoint are known, and the caller acts on it.
type Reaction uint8

// Reactions, after the classes of WeChat's error tables.
const (
	// Retry: a transient fault (system busy). Call again soon, a few times.
	Retry Reaction = iota + 1

	// ParentDead: the credential that the call was made with is dead. Refresh it once and call
	// again once.
	ParentDead

	// NewTicket: the pushed ticket is expired or unknown. Wait for the next push.
	NewTicket

	// Reauthorize: the customer's authorization is gone. Stop until the customer authorizes again.
	Reauthorize

	// Misconfigured: a permanent error until an operator changes a secret, an appid or a
	// permission.
	Misconfigured

	// AddressRefused: this host's address is not in WeChat's allowlist. [APIError].IP is the
	// address, if WeChat's answer names it.
	AddressRefused

	// QuotaDay: a quota is used up, daily or shorter. WeChat's answer does not tell which.
	QuotaDay

	// QuotaMinute: too many calls within a minute (or an hour, on WeCom).
	QuotaMinute

	// Malformed: the request itself was wrong, a bug in tokend.
	Malformed

	// GrantRefused: WeChat rejects the customer's grant. Read it again once from WeChat's list of
	// customers. If that does not help, it is Reauthorize.
	GrantRefused

	// CodeRefused: the authorization code is used up, expired or unknown. Drop it.
	CodeRefused
)

// String returns a word for r, for logs and test failures.
func (r Reaction) String() string {
	switch r {
	case Retry:
		return "retry"
	case ParentDead:
		return "parent dead"
	case NewTicket:
		return "new ticket"
	case Reauthorize:
		return "reauthorize"
	case Misconfigured:
		return "misconfigured"
	case AddressRefused:
		return "address refused"
	case QuotaDay:
		return "quota of the day"
	case QuotaMinute:
		return "quota of the minute"
	case Malformed:
		return "malformed"
	case GrantRefused:
		return "grant refused"
	case CodeRefused:
		return "code refused"
	}
	return "Reaction(" + strconv.Itoa(int(r)) + ")"
}

// APIError is a rejection by WeChat: a valid answer with an errcode other than 0, or with errcode 0
// and without the requested data.
type APIError struct {
	// Endpoint is the path of the call, without host and query.
	Endpoint string

	// Code is errcode, or 0.
	Code int

	// Msg is the meaning of Code, with IP if the address was rejected, and with RID. For an unknown
	// code Msg is errmsg: printable, at most 300 bytes, and without any value that was sent.
	Msg string

	// Errmsg is errmsg, bounded and cleaned as in Msg. It is for the log, because WeChat's support
	// asks for it. Clients are shown Msg.
	Errmsg string

	// RID is the ID that WeChat's support asks for: the rid in errmsg on the Official Account side,
	// the hint on WeCom. It is empty if there is none.
	RID string

	// IP is the caller's address as seen by WeChat, if errmsg names it.
	IP string

	// Reaction is the reaction to the code at this endpoint.
	Reaction Reaction

	// Pause is the wait that the vendor requires (89506, 89507). Zero means that the Reaction
	// decides.
	Pause time.Duration
}

// Error returns "errcode=<code> <errmsg>". The text is shown to clients unchanged.
func (e *APIError) Error() string {
	s := "errcode=" + strconv.Itoa(e.Code)
	if e.Msg != "" {
		s += " " + e.Msg
	}
	return s
}

// TransportError reports that WeChat was unreachable or that its answer was invalid: not JSON,
// truncated, too large, without a token, or without a plausible expires_in.
type TransportError struct {
	// Endpoint is the path of the call, without host and query.
	Endpoint string

	// Sent reports whether WeChat may have received the request. A rotating token may then have
	// been replaced although no answer arrived.
	Sent bool

	// Repeat is how often the call may be repeated immediately, counted from its first attempt;
	// zero means not at all. It is positive if a connection or a host failed, if there is another
	// one to try, and if a second request is harmless. A second request is harmless if the first
	// was not sent, or if the endpoint repeats its value.
	Repeat int

	// Err is the cause and never nil. It contains no URL and no value that was sent. It matches
	// context.DeadlineExceeded or context.Canceled with errors.Is if the time of the caller or of
	// the [Client] ran out.
	Err error
}

// Error returns the endpoint and the cause.
func (e *TransportError) Error() string { return e.Endpoint + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }
