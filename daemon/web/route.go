package web

import (
	"net/http"
	"strings"
)

// callbacks is the path prefix of callback URLs.
const callbacks = "/callback/"

// ServeHTTP answers one request. Paths must match exactly, except for a trailing slash of a
// callback URL. There are no redirects. ServeHTTP is exported so that tests can push to a handler
// instead of a socket. The bounds on connections apply only to Serve.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch owner, callback := strings.CutPrefix(r.URL.Path, callbacks); {
	case callback && s.cfg.Inbox != nil:
		s.callback(w, r, owner)
	case r.URL.Path == "/healthz":
		s.health(w, r, true)
	case r.URL.Path == "/readyz":
		s.health(w, r, s.cfg.Ready == nil || s.cfg.Ready())
	case s.cfg.Pages[r.URL.Path] != nil:
		s.page(w, r, s.cfg.Pages[r.URL.Path])
	default:
		s.refuse(w, r, "", refusal{status: http.StatusNotFound})
	}
}

// health answers a check of the daemon: 200 if good, otherwise 503. Strangers may ask, so there are
// no details.
func (s *Server) health(w http.ResponseWriter, r *http.Request, good bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refuse(w, r, "", refusal{status: http.StatusMethodNotAllowed, allow: "GET, HEAD"})
		return
	}
	if !good {
		write(w, http.StatusServiceUnavailable, []byte("not ready"))
		return
	}
	write(w, http.StatusOK, []byte("ok"))
}
