package fetchers

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"tokend/fetchers/secret"
)

// Kinds of events that concern credentials, as WeChat writes them in InfoType.
const (
	// Open Platform.
	EventVerifyTicket     = "component_verify_ticket"
	EventAuthorized       = "authorized"
	EventUpdateAuthorized = "updateauthorized" // the permission set was changed; a new code
	EventUnauthorized     = "unauthorized"
	EventFastRegister     = "notify_third_fasteregister" // sic; a mini program made for a customer

	// WeCom.
	EventSuiteTicket        = "suite_ticket"
	EventCreateAuth         = "create_auth"
	EventChangeAuth         = "change_auth" // the tokens stay valid
	EventCancelAuth         = "cancel_auth"
	EventResetPermanentCode = "reset_permanent_code"
)

// Event is a pushed message that was opened. Fields that its kind does not have are
// empty. Of a kind that is not among the constants only Kind, Owner and Time are read.
type Event struct {
	// Kind is the message's InfoType: printable, at most 64 bytes; empty where it has
	// none, as messages have that are no events of an owner's.
	Kind string

	// Owner is AppId or SuiteId. The receiver of the message is what is certain;
	// an Owner that differs makes the event foreign.
	Owner string

	// Time is when WeChat made the event; zero where it does not say.
	Time time.Time

	// Ticket is the component_verify_ticket or suite_ticket.
	Ticket secret.Text

	// Child is the customer: AuthorizerAppid or AuthCorpId. Events of WeCom that bring a
	// code do not name it.
	Child string

	// Code is the authorization code to exchange; empty in a [EventFastRegister]
	// that tells of a failure.
	Code secret.Text

	// CodeExpires is when Code ends; zero where the message does not say, and it is
	// no kind whose codes have a documented life.
	CodeExpires time.Time
}

// workCodeLife is how long an auth_code of WeCom lives
// (developer.work.weixin.qq.com/document/path/90603, as of November 2026).
const workCodeLife = 10 * time.Minute

// eventKind says what an event of one kind carries, and under which names.
type eventKind struct {
	owner string // AppId or SuiteId
	time  string // CreateTime or TimeStamp

	ticket, child, code string // names; "" where the kind has none

	// What must be there. A ticket always must, where there is one.
	needChild, needCode bool
}

func kindOf(infoType string) (eventKind, bool) {
	switch infoType {
	case EventVerifyTicket:
		return eventKind{owner: "AppId", time: "CreateTime", ticket: "ComponentVerifyTicket"}, true
	case EventAuthorized, EventUpdateAuthorized:
		return eventKind{owner: "AppId", time: "CreateTime", child: "AuthorizerAppid", code: "AuthorizationCode", needCode: true}, true
	case EventUnauthorized:
		return eventKind{owner: "AppId", time: "CreateTime", child: "AuthorizerAppid", needChild: true}, true
	case EventSuiteTicket:
		return eventKind{owner: "SuiteId", time: "TimeStamp", ticket: "SuiteTicket"}, true
	case EventCreateAuth, EventResetPermanentCode:
		return eventKind{owner: "SuiteId", time: "TimeStamp", child: "AuthCorpId", code: "AuthCode", needCode: true}, true
	case EventChangeAuth:
		return eventKind{owner: "SuiteId", time: "TimeStamp", child: "AuthCorpId"}, true
	case EventCancelAuth:
		return eventKind{owner: "SuiteId", time: "TimeStamp", child: "AuthCorpId", needChild: true}, true
	}
	// notify_third_fasteregister, and the variants for trial mini programs,
	// which the vendor spells notify_third_fastregisterbetaapp and so on.
	if strings.HasPrefix(infoType, "notify_third_fast") {
		return eventKind{owner: "AppId", time: "CreateTime", child: "appid", code: "auth_code"}, true
	}
	return eventKind{}, false
}

// ParseEvent reads a message that [Callback.Open] has opened. A message of a kind that is
// not known is no error. One that lacks what its kind has, or has there what cannot be an
// id or a credential, is an [ErrMalformed]. What its kind does not have may be malformed.
func ParseEvent(plain []byte) (Event, error) {
	m, err := readXML(plain, "InfoType", "AppId", "SuiteId", "CreateTime", "TimeStamp",
		"ComponentVerifyTicket", "SuiteTicket",
		"AuthorizerAppid", "AuthorizationCode", "AuthorizationCodeExpiredTime",
		"AuthCorpId", "AuthCode",
		"appid", "status", "auth_code")
	if err != nil {
		return Event{}, err
	}
	infoType, err := m.text("InfoType")
	if err != nil {
		return Event{}, err
	}
	k, known := kindOf(infoType)
	if !known {
		return unknownEvent(m), nil
	}
	e := Event{Kind: printable(infoType)}
	if e.Owner, err = m.id(k.owner); err != nil {
		return Event{}, err
	}
	at, err := m.text(k.time)
	if err != nil {
		return Event{}, err
	}
	e.Time = unixTime(at)
	if k.ticket != "" {
		if e.Ticket, err = m.value(k.ticket); err != nil {
			return Event{}, err
		}
	}
	if m.has(k.child) || k.needChild {
		if e.Child, err = m.id(k.child); err != nil {
			return Event{}, err
		}
	}
	if k.code == "auth_code" {
		switch status, err := m.text("status"); {
		case err != nil:
			return Event{}, err
		case status != "0":
			return e, nil // nothing came of it, so there is nothing to exchange
		}
	}
	if m.has(k.code) || k.needCode {
		if e.Code, err = m.value(k.code); err != nil {
			return Event{}, err
		}
		e.CodeExpires = codeExpires(k, e.Time, m.readable("AuthorizationCodeExpiredTime"))
	}
	return e, nil
}

// unknownEvent is an event of which there is nothing to know but that it came. It
// never fails: WeChat must hear that it has arrived, or takes us for broken.
func unknownEvent(m message) Event {
	e := Event{Kind: printable(m.readable("InfoType"))}
	for _, owner := range []string{m.readable("AppId"), m.readable("SuiteId")} {
		if e.Owner == "" && validID(owner) {
			e.Owner = owner
		}
	}
	if e.Time = unixTime(m.readable("CreateTime")); e.Time.IsZero() {
		e.Time = unixTime(m.readable("TimeStamp"))
	}
	return e
}

// codeExpires returns when a code ends that was made at made. The vendor's page calls
// AuthorizationCodeExpiredTime seconds, and others read it as a time: one is small, the
// other is not.
func codeExpires(k eventKind, made time.Time, expired string) time.Time {
	if k.owner == "SuiteId" {
		if made.IsZero() {
			return time.Time{}
		}
		return made.Add(workCodeLife)
	}
	n, err := strconv.ParseInt(expired, 10, 64)
	switch {
	case err != nil || n <= 0 || n > maxCount:
		return time.Time{}
	case n > 1e9:
		return time.Unix(n, 0)
	case made.IsZero():
		return time.Time{}
	}
	return made.Add(time.Duration(n) * time.Second)
}

// unixTime reads a time in Unix seconds, or returns the zero time: what came is of use
// without it.
func unixTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > maxCount {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// printable returns at most maxID bytes of s, in which nothing disturbs a log.
func printable(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == ' ' {
			return '?'
		}
		return r
	}, s), maxID)
}
