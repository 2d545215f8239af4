package fetchers

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"tokend/fetchers/secret"
)

// Kinds of events about credentials, as in InfoType.
const (
	// Open Platform.
	EventVerifyTicket     = "component_verify_ticket"
	EventAuthorized       = "authorized"
	EventUpdateAuthorized = "updateauthorized" // the permissions changed; contains a new code
	EventUnauthorized     = "unauthorized"
	EventFastRegister     = "notify_third_fasteregister" // sic; a mini program created for a customer

	// WeCom.
	EventSuiteTicket        = "suite_ticket"
	EventCreateAuth         = "create_auth"
	EventChangeAuth         = "change_auth" // tokens stay valid
	EventCancelAuth         = "cancel_auth"
	EventResetPermanentCode = "reset_permanent_code"
)

// Event is a pushed message after decryption. Fields that its kind lacks are empty. For kinds other
// than the constants, only Kind, Owner and Time are set.
type Event struct {
	// Kind is the message's InfoType: printable, at most 64 bytes. It is empty if the message has
	// none, which means that the message is not an event of an owner.
	Kind string

	// Owner is AppId or SuiteId. It is less reliable than the receiver of the message. If they
	// differ, the event belongs to another owner.
	Owner string

	// Time is WeChat's time of the event, or zero if the message has none.
	Time time.Time

	// Ticket is the component_verify_ticket or suite_ticket.
	Ticket secret.Text

	// Child is the customer: AuthorizerAppid or AuthCorpId. WeCom's events with a code do not
	// contain it.
	Child string

	// Code is the authorization code to exchange. It is empty in an [EventFastRegister] that
	// reports a failure.
	Code secret.Text

	// CodeExpires is when Code expires. It is zero if the message does not contain it and the kind
	// has no documented lifetime.
	CodeExpires time.Time
}

// workCodeLife is the lifetime of a WeCom auth_code
// (developer.work.weixin.qq.com/document/path/90603, as of November 2026).
const workCodeLife = 10 * time.Minute

// eventKind lists the elements of an event of one kind.
type eventKind struct {
	owner string // AppId or SuiteId
	time  string // CreateTime or TimeStamp

	ticket, child, code string // element names; "" if the kind has none

	// Required elements. A ticket is always required.
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
	// notify_third_fasteregister and the variants for trial mini programs, which the vendor spells
	// notify_third_fastregisterbetaapp and so on.
	if strings.HasPrefix(infoType, "notify_third_fast") {
		return eventKind{owner: "AppId", time: "CreateTime", child: "appid", code: "auth_code"}, true
	}
	return eventKind{}, false
}

// ParseEvent parses a message that [Callback.Open] has opened. An unknown kind is not an error. A
// message that lacks an element of its kind, or has an invalid ID or credential in it, is an
// [ErrMalformed]. Elements that its kind does not have may be malformed.
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
			return e, nil // the registration failed, so there is nothing to exchange
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

// unknownEvent returns an event of an unknown kind. It never fails, because an unacknowledged push
// makes WeChat treat this endpoint as broken.
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

// codeExpires returns the expiry of a code created at made. The vendor's page describes
// AuthorizationCodeExpiredTime as seconds; other implementations read it as a time. Small numbers
// are seconds, large ones a time.
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

// unixTime parses a time in Unix seconds, or returns the zero time: the event is useful without it.
func unixTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > maxCount {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// printable returns at most maxID bytes of s, safe for a log.
func printable(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == ' ' {
			return '?'
		}
		return r
	}, s), maxID)
}
