package wechattest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Omit, as [Fault.ExpiresIn], omits expires_in.
const Omit = "omit"

// HugeBody is the length of the body of a [Huge] answer in bytes.
const HugeBody = 100 << 20

// Body is a modification of an answer's body.
type Body uint8

// Values of [Body].
const (
	Whole     Body = iota // unchanged
	Truncated             // the first half
	HTML                  // a web page instead
	Empty                 // nothing instead
	Huge                  // HugeBody bytes: the answer and spaces
)

// Fault is a fault of calls. The first three fields select the calls, and the others define the
// effect. They may be combined. The zero Fault selects every call and has no effect.
type Fault struct {
	Endpoint string // a path; empty for every endpoint
	Account  string // as [Call.Account]; empty for every account
	Times    int    // number of calls; 0 until it is cleared

	// Delay comes before any other effect.
	Delay time.Duration

	// These replace the call; the first field that is set applies.
	Cut    bool   // the connection is cut
	Status int    // a gateway answers with this HTTP status and a page
	Code   int    // WeChat answers with this errcode
	Msg    string // and this errmsg, undecorated; empty for the usual one

	// These apply after the call was performed, so a token has been issued.
	Lost      bool   // the connection is cut before the answer
	Hang      bool   // no answer; the caller's deadline ends the call
	ExpiresIn string // expires_in is this JSON: 0, "7200" in quotes, 1e12; or Omit
	NoValue   bool   // the credential is an empty string
	NoGrant   bool   // the refresh token or permanent code is an empty string
	NoTokens  bool   // api_query_auth omits both tokens: the account has no API permissions
	Body      Body
}

// trouble describes in a word what f does to a call, or returns "" if f only changes the answer's
// content.
func (f Fault) trouble() string {
	switch {
	case f.Cut:
		return "cut"
	case f.Status != 0:
		return "HTTP " + strconv.Itoa(f.Status)
	case f.Code != 0:
		return ""
	case f.Lost:
		return "answer lost"
	case f.Hang:
		return "no answer"
	}
	return [...]string{"", "answer cut short", "web page", "empty answer", "huge answer"}[f.Body]
}

// injected is an active fault.
type injected struct {
	Fault
	left int
}

// Inject activates a fault and returns a function that removes it. If several faults select a call,
// the one injected first applies.
func (w *WeChat) Inject(f Fault) (clear func()) {
	in := &injected{f, f.Times}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, in)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drop(in)
	}
}

// ClearFaults removes all faults.
func (w *WeChat) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// SetAway makes WeChat unreachable, or reachable again. While it is unreachable, [WeChat.Transport]
// refuses connections. A [Server] keeps its port and cuts connections. Nothing is pushed.
func (w *WeChat) SetAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
	w.wakePushes()
}

func (w *WeChat) isAway() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away
}

func (w *WeChat) drop(in *injected) {
	w.faults = slices.DeleteFunc(w.faults, func(f *injected) bool { return f == in })
}

// fault returns the fault that applies to a call.
func (w *WeChat) fault(endpoint, account string) Fault {
	for _, in := range w.faults {
		if in.Endpoint != "" && in.Endpoint != endpoint || in.Account != "" && in.Account != account {
			continue
		}
		if in.Times > 0 {
			if in.left--; in.left == 0 {
				w.drop(in)
			}
		}
		return in.Fault
	}
	return Fault{}
}

// instead returns the answer that replaces the call, if f has one.
func (f Fault) instead(p platform) (answer, bool) {
	if f.Code == 0 {
		return answer{}, false
	}
	return answer{code: f.Code, msg: cmp.Or(f.Msg, words(p, f.Code))}, true
}

// falsify changes the content of a successful answer.
func (f Fault) falsify(a answer) answer {
	switch f.ExpiresIn {
	case "":
	case Omit:
		a.life = ""
	default:
		a.life = f.ExpiresIn
	}
	if f.NoValue {
		a.value = ""
	}
	if f.NoGrant {
		a.grant = ""
	}
	if f.NoTokens && a.in != "" {
		a.field, a.grantField = "", ""
	}
	return a
}

// spoil changes the encoded answer.
func (f Fault) spoil(r reply) reply {
	switch f.Body {
	case Truncated:
		r.body = r.body[:len(r.body)/2]
	case HTML:
		r = page(http.StatusOK)
	case Empty:
		r.body = nil
	case Huge:
		r.blanks = HugeBody - int64(len(r.body))
	}
	return r
}
