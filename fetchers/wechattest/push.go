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

// Quirks are ways in which an owner's pushes differ from the usual ones: all of those that
// are made after [WeChat.SetQuirks]. The zero Quirks are none.
type Quirks struct {
	// Age is by how much a message's own time stamp lies in the past, and with it
	// the beginning of a ticket's life: a straggler that newer ones have overtaken.
	Age time.Duration

	BadSignature  bool   // msg_signature is not that of the push
	Receiver      string // the receiver id within the cipher; empty for the owner's
	EmptyReceiver bool   // it is empty, as for an individual developer's
	Owner         string // the AppId or SuiteId that it is for; empty for the owner's

	NoCDATA        bool // texts are escaped
	Blanks         bool // blanks and line breaks around values
	Shuffled       bool // elements in another order each time, by [Settings.Seed]; the envelope's too
	RelativeExpiry bool // AuthorizationCodeExpiredTime is seconds from now, as the page says

	// Typed is what users have typed. WeChat does not escape it: it comes as it is in ExtraInfo of
	// create_auth, and in corp_name of the answer to an auth_code. Empty for the usual name, and no
	// ExtraInfo.
	Typed string

	Duplicate    bool // RunPushes and Flush send each push twice
	RedirectOnly bool // Authorize tells of a suite's customer by the redirect alone

	blankKind bool // before the kind of a WeCom event, as in the vendor's sample
}

// SetQuirks makes an owner's pushes differ from now on. It panics if there is no such owner.
func (w *WeChat) SetQuirks(owner string, q Quirks) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner(owner).quirks = q
}

// Push is one push, ready to be sent by whatever way.
type Push struct {
	Query url.Values // of the callback's URL
	Body  []byte     // the XML envelope

	// What proves and carries it, from the two above.
	MsgSignature, Timestamp, Nonce, Encrypt string

	Event Event  // what it tells
	Plain []byte // what was encrypted

	limit time.Duration // how long WeChat waits for the answer
}

// Request returns the push as the request that WeChat makes of it. What callback
// already has as its query is kept.
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

// TicketPush makes a platform or suite a ticket, component_verify_ticket or suite_ticket, that is
// good from now on, and returns the push of it without sending it. It panics if there is no such
// owner.
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

// EventPush returns the push of an event of an owner's without sending it. It changes
// nothing: for what the event tells of see [WeChat.Authorize] and its neighbours. It
// panics if there is no such owner.
func (w *WeChat) EventPush(owner string, e Event) Push {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.push(w.owner(owner), e, time.Now())
}

// push makes a push of o's by its quirks.
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

// order puts the elements of a message into the order that q says.
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

// preAuthCodeOf is the pre_auth_code that a consent names: the latest that the
// platform has fetched, or, since there must have been one, one made up.
func (w *WeChat) preAuthCodeOf(o *owner) string {
	if o.preAuthCode == "" {
		o.preAuthCode = w.text(componentPreAuthCodes)
	}
	return o.preAuthCode
}

// codeEnds is AuthorizationCodeExpiredTime: a point in time unless q says otherwise.
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

// Verification makes the GET by which WeCom asks a suite's callback whether it is the
// provider's: its query, and the text that must be the whole answer. The receiver id within is
// the provider's corpid, and not the suite's. A platform has no such
// check. It panics if there is no such suite.
func (w *WeChat) Verification(suite string) (query url.Values, echo string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.owner(suite)
	if !o.suite {
		panic("wechattest: " + suite + " is no suite")
	}
	echo = strconv.FormatUint(1e18+w.rand.Uint64N(8e18), 10)
	p := w.sealed(o, []byte(echo), cmp.Or(o.quirks.Receiver, o.provider), time.Now())
	return url.Values{
		"msg_signature": {p.MsgSignature}, "timestamp": {p.Timestamp}, "nonce": {p.Nonce}, "echostr": {p.Encrypt},
	}, echo
}

// QueueEvent queues an event of an owner's, as WeChat's other doings would. It is lost where
// the owner has no callback. It panics if there is no such owner.
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
