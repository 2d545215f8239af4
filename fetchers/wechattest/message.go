package wechattest

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

// Event is the content of a push. Its kind determines which fields are sent.
type Event struct {
	Kind string // InfoType; an unknown one is sent without other fields

	Ticket string // in component_verify_ticket and suite_ticket
	Child  string // the customer; not in tickets, create_auth, reset_permanent_code
	Code   string // authorized, updateauthorized, notify_third_fasteregister, create_auth, reset_permanent_code
	State  string // create_auth, change_auth; empty: omitted
	Status int    // notify_third_fasteregister: 0 for success; otherwise there is no code
}

// element is an element of a message.
type element struct {
	name, text string
	number     bool // never CDATA
	raw        bool // always CDATA, unescaped
	inner      []element
}

func texts(pairs ...string) []element {
	var e []element
	for i := 0; i < len(pairs); i += 2 {
		e = append(e, element{name: pairs[i], text: pairs[i+1]})
	}
	return e
}

func number(name string, n int64) element {
	return element{name: name, text: strconv.FormatInt(n, 10), number: true}
}

// platformMessage returns an event of a platform. preAuthCode and codeEnds accompany a code.
func platformMessage(appid string, e Event, at time.Time, preAuthCode string, codeEnds int64) []element {
	m := texts("AppId", appid)
	m = append(m, number("CreateTime", at.Unix()))
	m = append(m, texts("InfoType", e.Kind)...)
	switch e.Kind {
	case "component_verify_ticket":
		m = append(m, texts("ComponentVerifyTicket", e.Ticket)...)
	case "authorized", "updateauthorized":
		m = append(m, texts("AuthorizerAppid", e.Child, "AuthorizationCode", e.Code)...)
		m = append(m, number("AuthorizationCodeExpiredTime", codeEnds))
		m = append(m, texts("PreAuthCode", preAuthCode)...)
	case "unauthorized":
		m = append(m, texts("AuthorizerAppid", e.Child)...)
	case "notify_third_fasteregister":
		m = append(m, texts("appid", e.Child)...)
		m = append(m, number("status", int64(e.Status)))
		if e.Status == 0 {
			m = append(m, texts("auth_code", e.Code)...)
		}
		m = append(m, texts("msg", "OK")...)
		m = append(m, element{name: "info", inner: texts("name", "Customer", "code", "0")})
	}
	return m
}

// suiteMessage returns an event of a suite.
func suiteMessage(suiteID string, e Event, at time.Time) []element {
	m := texts("SuiteId", suiteID, "InfoType", e.Kind)
	m = append(m, number("TimeStamp", at.Unix()))
	switch e.Kind {
	case "suite_ticket":
		m = append(m, texts("SuiteTicket", e.Ticket)...)
	case "create_auth", "reset_permanent_code":
		m = append(m, texts("AuthCode", e.Code)...)
	case "change_auth", "cancel_auth":
		m = append(m, texts("AuthCorpId", e.Child)...)
	}
	if e.State != "" && (e.Kind == "create_auth" || e.Kind == "change_auth") {
		m = append(m, texts("State", e.State)...)
	}
	return m
}

// xmlText encodes a message.
func xmlText(m []element, q Quirks) []byte {
	var b bytes.Buffer
	writeElement(&b, element{name: "xml", inner: m}, q)
	return b.Bytes()
}

func writeElement(b *bytes.Buffer, e element, q Quirks) {
	b.WriteString("<" + e.name + ">")
	for _, in := range e.inner {
		if q.Blanks {
			b.WriteString("\n  ")
		}
		writeElement(b, in, q)
	}
	if e.inner == nil {
		writeText(b, e, q)
	} else if q.Blanks {
		b.WriteString("\n")
	}
	b.WriteString("</" + e.name + ">")
}

func writeText(b *bytes.Buffer, e element, q Quirks) {
	if q.Blanks || e.name == "InfoType" && q.blankKind {
		b.WriteString(" ")
	}
	switch {
	case e.number:
		b.WriteString(e.text)
	case !e.raw && (q.NoCDATA || strings.Contains(e.text, "]]>")):
		_ = xml.EscapeText(b, []byte(e.text)) // cannot fail for a buffer
	default:
		b.WriteString("<![CDATA[" + e.text + "]]>")
	}
}
