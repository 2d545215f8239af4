package wechattest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Omit, as [Fault.ExpiresIn], leaves expires_in out.
const Omit = "omit"

// HugeBody is how long the body of a [Huge] answer is, in bytes.
const HugeBody = 100 << 20

// Body is what becomes of an answer's body.
type Body uint8

// Bodies.
const (
	Whole     Body = iota // as it is
	Truncated             // its first half
	HTML                  // a web page instead
	Empty                 // nothing instead
	Huge                  // HugeBody bytes: itself, and blanks
)

// Fault is something that goes wrong. Which calls it befalls is said by the first
// three fields, when and how by the others, which may be combined. The zero
// Fault befalls every call and does nothing to it.
type Fault struct {
	Endpoint string // a path; empty for every endpoint
	Account  string // as [Call.Account]; empty for every account
	Times    int    // how many calls; 0 until it is cleared

	// Delay passes before anything else happens.
	Delay time.Duration

	// These happen instead of the call, the first that is set.
	Cut    bool   // the connection is cut
	Status int    // a gateway answers this HTTP status with a page
	Code   int    // WeChat refuses with this errcode
	Msg    string // and this errmsg, undecorated; empty for the usual one

	// These happen after the call was carried out: a token has been made.
	Lost      bool   // the connection is cut before the answer
	Hang      bool   // the answer never comes; the caller's patience ends it
	ExpiresIn string // expires_in is this JSON: 0, "7200" in quotes, 1e12; or Omit
	NoValue   bool   // the credential is an empty text
	NoGrant   bool   // the refresh token or permanent code is an empty text
	NoTokens  bool   // api_query_auth leaves both tokens out: the account has no API permissions
	Body      Body
}

// trouble says in a word what f does to a call, and "" where the answer only says
// something else.
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

// injected is a fault that is in force.
type injected struct {
	Fault
	left int
}

// Inject puts a fault in force, and returns a function that takes it back. Of
// several that befall a call the one that was injected first does.
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

// ClearFaults takes every fault back.
func (w *WeChat) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// SetAway takes WeChat away, or gives it back. While it is away nothing is
// answered: [WeChat.Transport] refuses the connection, and over a socket, whose
// port must be kept, the connection is cut. Nor does it push anything.
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

// fault returns what befalls a call.
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

// instead returns what is answered without carrying out the call, if f says so.
func (f Fault) instead(p platform) (answer, bool) {
	if f.Code == 0 {
		return answer{}, false
	}
	return answer{code: f.Code, msg: cmp.Or(f.Msg, words(p, f.Code))}, true
}

// falsify changes what a successful answer says.
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

// spoil changes the answer on the wire.
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
