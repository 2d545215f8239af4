package fetchers

import (
	"strconv"
	"time"
)

// Reaction is what an errcode calls for. The same number means different
// things on the Official Account side and on WeCom's, so a Reaction is decided here,
// where platform and endpoint are known, and acted on by the caller.
type Reaction uint8

// Reactions, after the classes of WeChat's error tables.
const (
	// Retry: a passing fault (system busy). Ask again shortly, a few times.
	Retry Reaction = iota + 1

	// ParentDead: the credential that the call was made with is dead.
	// Refresh it once, ask again once.
	ParentDead

	// NewTicket: the pushed ticket is expired or unknown. Wait for the next
	// push.
	NewTicket

	// Reauthorize: the customer's authorization is gone. Stop until it is
	// given again.
	Reauthorize

	// Misconfigured: wrong for good until a person changes something: a
	// secret, an appid, a permission.
	Misconfigured

	// AddressRefused: this host's address is not listed with WeChat.
	// [APIError].IP says which, where WeChat told.
	AddressRefused

	// QuotaDay: a quota is spent, the day's or a shorter one: WeChat does not tell which.
	QuotaDay

	// QuotaMinute: too many calls within a minute (or an hour, on WeCom).
	QuotaMinute

	// Malformed: the request itself was wrong: a defect of tokend.
	Malformed

	// GrantRefused: WeChat does not take the customer's grant. Read it again from where
	// WeChat lists it, once; if that does not help it is Reauthorize.
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

// APIError is a refusal by WeChat: an answer that was understood and carries an
// errcode other than 0, or has errcode 0 and nothing of what was asked for.
type APIError struct {
	// Endpoint is the path of the call, without host and query.
	Endpoint string

	// Code is errcode; 0 for an answer that is no error in itself.
	Code int

	// Msg says what Code means, with IP where that is what was refused, and RID. Of a code whose
	// meaning is not known it is errmsg: printable, at most 300 bytes, without any value that was
	// sent.
	Msg string

	// Errmsg is errmsg, bounded and cleaned like Msg of an unknown code. It is for the log:
	// WeChat's support asks for what it says of the request, and peers are shown Msg.
	Errmsg string

	// RID is what WeChat's support asks for: the rid of errmsg on the
	// Official Account side, the hint on WeCom's; empty where there is none.
	RID string

	// IP is the caller's address as WeChat saw it, where errmsg names it.
	IP string

	// Reaction is what the code calls for at this endpoint.
	Reaction Reaction

	// Pause is how long the vendor says to stay away (89506, 89507);
	// zero where the Reaction alone decides.
	Pause time.Duration
}

// Error returns "errcode=<code> <errmsg>". The text goes to peers as it is.
func (e *APIError) Error() string {
	s := "errcode=" + strconv.Itoa(e.Code)
	if e.Msg != "" {
		s += " " + e.Msg
	}
	return s
}

// TransportError says that WeChat could not be reached, or that its answer was
// no answer: not JSON, cut short, too large, without a token, without a
// believable expires_in.
type TransportError struct {
	// Endpoint is the path of the call, without host and query.
	Endpoint string

	// Sent reports whether WeChat may have acted on the request. A rotating
	// token may then have been replaced although no answer arrived.
	Sent bool

	// Repeat is how often the call may be repeated at once, counted from its first attempt; zero
	// for not at all. It is positive where the fault was that of a connection or of a host, there
	// is another one to try, and a second request does no harm: none was sent before, or the
	// endpoint returns the same value again.
	Repeat int

	// Err is the cause, never nil. It holds no URL and nothing that was sent. It is
	// context.DeadlineExceeded or context.Canceled for errors.Is where the
	// caller's patience, or the [Client]'s, ran out.
	Err error
}

// Error returns the endpoint and the cause.
func (e *TransportError) Error() string { return e.Endpoint + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }
