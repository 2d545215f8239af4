package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"tokend/daemon/credential"
)

// refusal is a rejection of a request.
type refusal struct {
	status int
	allow  string // for 405: the allowed methods
	reason string // for the log; "" if the status is enough
	hint   string // for the client, a stranger; "" for the status alone
	page   bool   // logged apart from pushes, so that requests for pages do not suppress those
}

// refusalOf is the one place where an error becomes a status. An unknown error means not stored.
func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, errTooLarge):
		return refusal{status: http.StatusRequestEntityTooLarge}
	case errors.Is(err, errCutShort):
		return refusal{status: http.StatusBadRequest, reason: err.Error()}
	case errors.Is(err, errManyLarge), errors.Is(err, errCostly), errors.Is(err, errLate):
		return refusal{status: http.StatusServiceUnavailable, reason: err.Error()}
	case errors.Is(err, errFault):
		return refusal{status: http.StatusInternalServerError}
	}
	e, ok := errors.AsType[*credential.Error](err)
	if !ok {
		return refusal{status: http.StatusServiceUnavailable, reason: "not stored"}
	}
	switch e.Reason {
	case credential.NotFound:
		return refusal{status: http.StatusNotFound, reason: e.Message}
	case credential.Denied:
		return refusal{status: http.StatusForbidden, reason: e.Message}
	case credential.Unfit:
		return refusal{status: http.StatusBadRequest, reason: e.Message}
	}
	return refusal{status: http.StatusServiceUnavailable, reason: e.Message}
}

// refuse answers with no and closes the connection. The body has only the status and no's hint,
// because the client is a stranger until a signature proves otherwise.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, owner string, no refusal) {
	kind := no.status
	if no.page {
		kind = -no.status
	}
	if n, ok := s.refusals.admit(kind, time.Now()); ok {
		s.log.Warn("HTTP request rejected", "status", no.status, "reason", no.reason, "owner", shown(owner),
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

// writeAs answers with text of a content type.
func writeAs(w http.ResponseWriter, status int, contentType string, text []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the peer is gone
}

// maxShown is the longest text from a stranger that is logged: two segments of a name.
const maxShown = 129

// shown returns s if it could be an owner or a method and may be logged, and otherwise "-".
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
