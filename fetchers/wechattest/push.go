package wechattest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Quirks modify all pushes of an owner that are created after [WeChat.SetQuirks]. The zero Quirks
// modify nothing.
type Quirks struct {
	// Age is the age of a message's own time stamp and of its ticket: the push is late, and newer
	// ones have overtaken it.
	Age time.Duration

	BadSignature  bool   // msg_signature does not match
	Receiver      string // the receiver ID inside the ciphertext; empty for the owner's
	EmptyReceiver bool   // the receiver ID is empty, as for an individual developer
	Owner         string // the AppId or SuiteId of the event; empty for the owner's

	NoCDATA        bool // texts are escaped instead
	Blanks         bool // spaces and line breaks around values
	Shuffled       bool // elements in varying order, by [Settings.Seed]; in the envelope too
	RelativeExpiry bool // AuthorizationCodeExpiredTime is in seconds from now, as documented

	// Typed is text that users typed, which WeChat does not escape. It is in the ExtraInfo of
	// create_auth, and in corp_name of the answer to an auth_code. Empty means the usual name and
	// no ExtraInfo.
	Typed string

	Duplicate    bool // RunPushes and Flush send each push twice
	RedirectOnly bool // Authorize reports a suite's customer only by the redirect

	blankKind bool // a space before the kind of a WeCom event, as in the vendor's sample
}

// SetQuirks sets the quirks of an owner's future pushes. It panics if there is no such owner.
func (w *WeChat) SetQuirks(owner string, q Quirks) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner(owner).quirks = q
}

// Push is one push, ready to be sent.
type Push struct {
	Query url.Values // of the callback's URL
	Body  []byte     // the XML envelope

	// The parameters of Query and Encrypt of Body.
	MsgSignature, Timestamp, Nonce, Encrypt string

	Event Event  // the content
	Plain []byte // the plain text

	limit time.Duration // how long WeChat waits for the answer
}

// Request returns the push as WeChat's HTTP request. An existing query of callback is kept.
func (p Push) Request(ctx context.Context, callback string) (*http.Request, error) {
	r, err := newRequest(ctx, http.MethodPost, callback, p.Query, p.Body)
	if err == nil {
		r.Header.Set("Content-Type", "text/xml")
	}
	return r, err
}

func newRequest(ctx context.Context, method, callback string, query url.Values, body []byte) (*http.Request, error) {
	u, err := url.Parse(callback)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += query.Encode()
	return http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
}

// TicketPush issues a ticket for a platform or suite, component_verify_ticket or suite_ticket,
// valid from now. It returns the push without sending it. It panics if there is no such owner.
func (w *WeChat) TicketPush(owner string) Push {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ticketPush(w.owner(owner), time.Now())
}

func (w *WeChat) ticketPush(o *owner, now time.Time) Push {
	e, u := Event{Kind: "component_verify_ticket"}, componentTickets
	if o.suite {
		e.Kind, u = "suite_ticket", suiteTickets
	}
	e.Ticket = w.issue(o.account, u, now.Add(-o.quirks.Age)).value
	return w.push(o, e, now)
}

// EventPush returns the push of an owner's event without sending it. It changes no state; see
// [WeChat.Authorize] and similar methods for that. It panics if there is no such owner.
func (w *WeChat) EventPush(owner string, e Event) Push {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.push(w.owner(owner), e, time.Now())
}

// push creates a push of o with its quirks.
func (w *WeChat) push(o *owner, e Event, now time.Time) Push {
	q := o.quirks
	q.blankKind = o.suite && !q.NoCDATA
	id := cmp.Or(q.Owner, o.account.id)
	at := now.Add(-q.Age)

	var m []element
	if o.suite {
		m = suiteMessage(id, e, at)
		if q.Typed != "" && e.Kind == "create_auth" {
			m = append(m, element{name: "ExtraInfo", text: q.Typed, raw: true})
		}
	} else {
		m = platformMessage(id, e, at, w.preAuthCodeOf(o), w.codeEnds(e.Code, q, now))
	}
	w.order(m, q)
	receiver := cmp.Or(q.Receiver, o.account.id)
	if q.EmptyReceiver {
		receiver = ""
	}
	p := w.sealed(o, xmlText(m, q), receiver, now)
	p.Event, p.limit = e, 5*time.Second
	if q.BadSignature {
		p.MsgSignature = Signature(o.token, p.Timestamp, p.Nonce)
	}
	p.Query = url.Values{"msg_signature": {p.MsgSignature}, "timestamp": {p.Timestamp}, "nonce": {p.Nonce}}
	envelope := texts("AppId", id, "Encrypt", p.Encrypt)
	if o.suite {
		envelope = texts("ToUserName", id, "Encrypt", p.Encrypt, "AgentID", "")
		if e.Kind != "suite_ticket" {
			p.limit = time.Second
		}
	} else {
		p.Query.Set("signature", Signature(o.token, p.Timestamp, p.Nonce))
		p.Query.Set("encrypt_type", "aes")
	}
	q.blankKind = false
	w.order(envelope, q)
	p.Body = xmlText(envelope, q)
	return p
}

// order puts the elements of a message in the order that q requires.
func (w *WeChat) order(m []element, q Quirks) {
	if q.Shuffled {
		w.rand.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
	}
}

// sealed encrypts and signs a message.
func (w *WeChat) sealed(o *owner, msg []byte, receiver string, now time.Time) Push {
	var random [16]byte
	for i := range random {
		random[i] = byte('!' + w.rand.IntN('~'-'!'))
	}
	p := Push{
		Plain:     msg,
		Timestamp: strconv.FormatInt(now.Unix(), 10),
		Nonce:     fmt.Sprintf("%010d", w.rand.Uint64N(1e10)),
		Encrypt:   seal(o.key, random, msg, receiver),
	}
	p.MsgSignature = Signature(o.token, p.Timestamp, p.Nonce, p.Encrypt)
	return p
}

// preAuthCodeOf returns the pre_auth_code for a consent: the latest code that the platform
// fetched, or an invented code.
func (w *WeChat) preAuthCodeOf(o *owner) string {
	if o.preAuthCode == "" {
		o.preAuthCode = w.text(componentPreAuthCodes)
	}
	return o.preAuthCode
}

// codeEnds returns AuthorizationCodeExpiredTime: a time unless q requires seconds.
func (w *WeChat) codeEnds(code string, q Quirks, now time.Time) int64 {
	ends := now.Add(authorizationCodes.life(w.set.Lifetime))
	if i := w.issued.byValue[code]; i != nil {
		ends = i.ends
	}
	if q.RelativeExpiry {
		return int64(ends.Sub(now) / time.Second)
	}
	return ends.Unix()
}

// Verification returns WeCom's GET to verify a suite's callback URL: its query, and the text that
// must be the whole answer. The receiver is the provider's corpid, not the suite. Platforms are not
// verified. It panics if there is no such suite.
func (w *WeChat) Verification(suite string) (query url.Values, echo string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.owner(suite)
	if !o.suite {
		panic("wechattest: " + suite + " is not a suite")
	}
	echo = strconv.FormatUint(1e18+w.rand.Uint64N(8e18), 10)
	p := w.sealed(o, []byte(echo), cmp.Or(o.quirks.Receiver, o.provider), time.Now())
	return url.Values{
		"msg_signature": {p.MsgSignature}, "timestamp": {p.Timestamp}, "nonce": {p.Nonce}, "echostr": {p.Encrypt},
	}, echo
}

// QueueEvent queues an event of an owner, as other actions do. The event is lost if the owner has
// no callback. It panics if there is no such owner.
func (w *WeChat) QueueEvent(owner string, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enqueue(w.owner(owner), e, time.Now())
}

func (w *WeChat) enqueue(o *owner, e Event, now time.Time) {
	if o.callback == "" {
		return
	}
	o.queue = append(o.queue, w.push(o, e, now))
	w.wakePushes()
}
