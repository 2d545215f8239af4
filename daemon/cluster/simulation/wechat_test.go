package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"time"

	"tokend/fetchers/wechattest"
)

// truth is what WeChat has answered, whether the answer arrived or not. It knows more than any
// host.
type truth struct {
	mu     sync.Mutex
	values map[string]*issued     // by value
	newest map[string]*issued     // by name, of what rotates
	flying map[string]int         // calls under way, by name, of what rotates; without those of paused hosts
	spent  map[string][]time.Time // calls, by endpoint and account
	late   int                    // calls that were sent late
	total  int                    // calls and pushes under way
	pushed map[string]ticket      // the newest ticket that a host has acknowledged, by name
}

func newTruth() *truth {
	return &truth{values: map[string]*issued{}, newest: map[string]*issued{}, flying: map[string]int{}, spent: map[string][]time.Time{}, pushed: map[string]ticket{}}
}

// ticket is a pushed ticket.
type ticket struct {
	value string
	at    time.Time
}

// issued is a value that WeChat has issued.
type issued struct {
	name   string
	value  string
	at     time.Time
	ends   time.Time // zero if WeChat does not state it
	after  time.Time // when a refresh of the schedule may replace it
	gone   time.Time // when it was replaced; zero if it was not
	due    bool      // it was replaced by a refresh of the schedule
	code   string    // that it was issued for
	orphan bool      // that code's answer was lost, and nobody can ask for it again
	unmet  bool      // it was fetched in a boot that no peer had met
	number int
}

// request is what WeChat's wire shows of a call.
type request struct {
	label string // of the timeline
	name  string // of the credential that the call replaces, if it rotates
	code  string // that is exchanged
}

// target returns what a call is for.
func target(r *http.Request, body []byte) request {
	var b struct {
		AppID      string `json:"appid"`
		Component  string `json:"component_appid"`
		Authorizer string `json:"authorizer_appid"`
		Code       string `json:"authorization_code"`
		AuthCode   string `json:"auth_code"`
	}
	_ = json.Unmarshal(body, &b) // a GET has none
	q := request{label: strings.TrimPrefix(r.URL.Path, "/cgi-bin/")}
	switch r.URL.Path {
	case wechattest.Token:
		q.name = "official_account/" + r.URL.Query().Get("appid") + "/access_token"
	case wechattest.ComponentToken:
		q.name = "open_platform/" + b.Component + "/component_access_token"
	case wechattest.AuthorizerToken:
		q.name = "open_platform/" + b.Component + "/" + b.Authorizer + "/access_token"
	case wechattest.QueryAuth:
		q.code = b.Code
	case wechattest.PermanentCode, wechattest.PermanentCodeV2:
		q.code = b.AuthCode
	}
	if q.name != "" {
		q.label += " " + q.name
	}
	return q
}

// once is what must not be called for twice at once, empty if that is allowed.
func (q request) once() string {
	if q.code != "" {
		return anyCode + shorten(q.code)
	}
	return q.name
}

// anyCode begins the names of codes.
const anyCode = "the code "

// answer is what WeChat's answers contain.
type answer struct {
	Access     string `json:"access_token"`
	Component  string `json:"component_access_token"`
	Authorizer string `json:"authorizer_access_token"`
	Suite      string `json:"suite_access_token"`
	Provider   string `json:"provider_access_token"`
	ExpiresIn  int64  `json:"expires_in"`
	Code       int    `json:"errcode"`
	Info       *struct {
		AppID      string `json:"authorizer_appid"`
		Authorizer string `json:"authorizer_access_token"`
		ExpiresIn  int64  `json:"expires_in"`
	} `json:"authorization_info"`
}

// caller is the transport of one process of a host: its way to WeChat.
type caller struct{ p *process }

// RoundTrip implements [http.RoundTripper]. It runs on the goroutine of the flight.
func (c caller) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	p, h, w, ctx := c.p, c.p.host, c.p.host.world, r.Context()
	trace := httptrace.ContextClientTrace(ctx)
	trace.GetConn(r.URL.Host)
	q := target(r, body)
	fate := w.atStep(h, calls, q.label)
	late := p.gate() // between the check and the send
	switch {
	case p.isDead():
		return nil, errDead
	case h.isCut(fromWeChat):
		if h.roll()%2 == 0 {
			return nil, errRefused
		}
		<-ctx.Done() // no answer to the SYN
		return nil, context.Cause(ctx)
	}
	if late && h.roll()%4 != 0 {
		// The pause was before the call's own timeout began.
		fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
		defer cancel()
		ctx = fresh
	}
	trace.GotConn(httptrace.GotConnInfo{})
	if fate.verb == loses {
		w.note(h, "call %s: reset before WeChat has read it", q.label)
		return nil, errReset
	}
	done := w.truth.begins(w, p, q, late)
	known := false // the host has the answer
	defer func() {
		if done() && !known {
			h.losesLateAnswer()
		}
		if !known && q.code != "" {
			w.truth.orphan(q.code)
		}
	}()
	sleep(ctx, h.latency(20, 180))
	if fate.verb == delays {
		sleep(ctx, fate.d)
	}
	direct := r.Clone(context.WithoutCancel(ctx))
	direct.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.fake.Transport().RoundTrip(direct)
	if err != nil {
		panic(err) // no fault is injected there
	}
	text, _ := io.ReadAll(resp.Body)
	if w.plan.flaw == callsTwice && q.name != "" {
		w.truth.begins(w, p, q, false)()
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	w.truth.answered(w, h, q, text)
	if w.plan.flaw != "" {
		text = w.plan.flaw.spoil(text)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	}
	fate = w.atStep(h, answers, q.label)
	p.gate()
	lost, silent := fate.verb == loses, fate.n%2 == 0
	if !lost && h.chance(badCalls) {
		lost, silent = true, h.roll()%2 == 0
	}
	switch {
	case fate.verb == delays:
		sleep(ctx, fate.d)
	case lost && silent:
		w.note(h, "answer to %s: lost, no answer at all", q.label)
		<-ctx.Done()
	case lost:
		w.note(h, "answer to %s: lost, the connection is reset", q.label)
		return nil, errReset
	}
	sleep(ctx, h.latency(5, 40))
	p.gate()
	switch {
	case p.isDead() || h.isCut(fromWeChat):
		return nil, errReset
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	known = true
	return resp, nil
}

var (
	errDead    = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETDOWN}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
)

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// orphan notes that the answer to a code was lost. The token in it replaced the customer's, and
// there is no claim of that: callers will reject the dead token.
func (t *truth) orphan(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.newest {
		v.orphan = v.orphan || v.code == code
	}
}

// acknowledged notes a ticket that a host has stored.
func (t *truth) acknowledged(name string, k ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.at.After(t.pushed[name].at) {
		t.pushed[name] = k
	}
}

// busy changes how many calls and pushes are under way.
func (t *truth) busy(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += n
}

// counted notes that WeChat counts a call.
func (t *truth) counted(c wechattest.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := c.Endpoint + " " + c.Account
	t.spent[key] = append(t.spent[key], c.At)
}

// begins notes a call on its way. late reports that its host was paused before it was sent. done
// reports the same, or that the claim has ended since.
func (t *truth) begins(w *world, p *process, q request, late bool) (done func() (late bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if late {
		w.note(p.host, "call %s: sent late, after a pause", q.label)
	} else {
		w.note(p.host, "call %s", q.label)
	}
	c := &call{q.once(), late}
	if q.code != "" && p.cutOff() {
		c.name = "" // in the last third of its life, without a claim: every host that has the code
	}
	t.total++
	p.flying(c, t)
	if n := t.flying[c.name]; n > 1 && c.name != "" {
		w.violate("%s: %d calls under way at once", c.name, n)
	}
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.total--
		p.landed(c, t)
		return c.late
	}
}

// answered notes an answer.
func (t *truth) answered(w *world, h *host, q request, text []byte) {
	var a answer
	_ = json.Unmarshal(text, &a)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if a.Code != 0 {
		w.note(h, "WeChat answers %s: errcode %d", q.label, a.Code)
		return
	}
	value, ends := "", now.Add(time.Duration(a.ExpiresIn)*time.Second)
	for _, v := range []string{a.Access, a.Component, a.Authorizer, a.Suite, a.Provider} {
		if v != "" {
			value = v
		}
	}
	name := q.name
	if a.Info != nil && a.Info.Authorizer != "" {
		name, value = platform+"/"+a.Info.AppID+"/access_token", a.Info.Authorizer
		ends = now.Add(time.Duration(a.Info.ExpiresIn) * time.Second)
	}
	if value == "" {
		w.note(h, "WeChat answers %s", q.label)
		return
	}
	if t.values[value] != nil { // repeated
		return
	}
	v := &issued{name: name, value: value, code: q.code, at: now, ends: ends, after: ends.Add(-min(10*time.Minute, ends.Sub(now)/4))}
	if p := h.current(); p != nil {
		v.unmet = p.apart()
	}
	t.values[value] = v
	if name == "" {
		return
	}
	if before := t.newest[name]; before != nil {
		before.gone, before.due = now, !now.Before(before.after)
		v.number = before.number + 1
	}
	t.newest[name] = v
	w.note(h, "WeChat issues %s", v)
}

func (v *issued) String() string { return v.name + " #" + itoa(v.number+1) }

// underWay returns how many calls are under way.
func (t *truth) underWay() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// find returns what is known of a value, or nil.
func (t *truth) find(value string) *issued {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.values[value]; v != nil {
		c := *v
		return &c
	}
	return nil
}

// tickets returns the newest acknowledged tickets.
func (t *truth) tickets() map[string]ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.pushed)
}

// current returns the newest value of each name.
func (t *truth) current() map[string]issued {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]issued{}
	for name, v := range t.newest {
		all[name] = *v
	}
	return all
}
