package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"time"

	"tokend/fetchers/wechattest"
)

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
	Ticket     string `json:"ticket"` // of WeCom; for other tickets, WeChat always states a whole life
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
	ready := time.Now()
	p.gate() // between the check and the send
	late := time.Since(ready) > leaseMargin
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
		if !known && q.code != "" && !w.isNamed(q.code) {
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
	if token := w.truth.tokenOf(q.code); token != "" {
		p.awaits(q.code, token)
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

// lastThird reports whether a code may be in the last third of its life for a host: then it is
// exchanged without a claim while etcd is unreachable.
func (w *world) lastThird(code string) bool {
	w.mu.Lock()
	third := w.thirds[code].Add(-rounding - w.rewound)
	w.mu.Unlock()
	return w.turned() || time.Now().After(third)
}
