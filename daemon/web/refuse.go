package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"tokend/daemon/refresh"
)

// refusal is an answer other than what was asked for.
type refusal struct {
	status int
	allow  string // for 405: the methods there are
	reason string // for the log; "" where the status says it all
	hint   string // for who asks, a stranger; "" for nothing but the status
	page   bool   // of a page: reported apart, so that who asks for pages hides no refusal of a push
}

// refusalOf is the one place where an error becomes a status. What it does not know was not kept.
func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, errTooLarge):
		return refusal{status: http.StatusRequestEntityTooLarge}
	case errors.Is(err, errCutShort):
		return refusal{status: http.StatusBadRequest, reason: err.Error()}
	case errors.Is(err, errNoRoom), errors.Is(err, errCostly), errors.Is(err, errLate):
		return refusal{status: http.StatusServiceUnavailable, reason: err.Error()}
	case errors.Is(err, errFault):
		return refusal{status: http.StatusInternalServerError}
	}
	e, ok := errors.AsType[*refresh.Error](err)
	if !ok {
		return refusal{status: http.StatusServiceUnavailable, reason: "not kept"}
	}
	switch e.Reason {
	case refresh.NotFound:
		return refusal{status: http.StatusNotFound, reason: e.Message}
	case refresh.Denied:
		return refusal{status: http.StatusForbidden, reason: e.Message}
	case refresh.Unfit:
		return refusal{status: http.StatusBadRequest, reason: e.Message}
	}
	return refusal{status: http.StatusServiceUnavailable, reason: e.Message}
}

// refuse answers no. It names nothing but the status, and no's hint: who asks is a stranger until a
// signature says otherwise. The connection ends with it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, owner string, no refusal) {
	kind := no.status
	if no.page {
		kind = -no.status
	}
	if n, ok := s.refusals.admit(kind, time.Now()); ok {
		s.log.Warn("HTTP request refused", "status", no.status, "reason", no.reason, "owner", shown(owner),
			"method", shown(r.Method), "peer", r.RemoteAddr, "unreported", n)
	}
	h := w.Header()
	h.Set("Connection", "close")
	if no.allow != "" {
		h.Set("Allow", no.allow)
	}
	text := http.StatusText(no.status) + "\n"
	if no.hint != "" {
		text += no.hint + "\n"
	}
	write(w, no.status, []byte(text))
	linger(w, r)
}

// write answers with a short text.
func write(w http.ResponseWriter, status int, text []byte) {
	writeAs(w, status, "text/plain; charset=utf-8", text)
}

// writeAs answers with text of a type.
func writeAs(w http.ResponseWriter, status int, contentType string, text []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the peer is gone if this fails, and the next request says so
}

// maxShown is how much of a stranger's text is logged: two segments of a name.
const maxShown = 129

// shown returns what may be logged of a stranger's text: that which could be an owner or a method,
// or "-".
func shown(s string) string {
	if s == "" || len(s) > maxShown {
		return "-"
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			c != '.' && c != '_' && c != '@' && c != '-' && c != '/' {
			return "-"
		}
	}
	return s
}
