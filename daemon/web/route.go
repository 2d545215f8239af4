package web

import (
	"net/http"
	"strings"
)

// callbacks is where the addresses that WeChat pushes to begin.
const callbacks = "/callback/"

// ServeHTTP answers one request. Paths are compared as they are, except for a slash at the end of a
// callback's: no redirect leads from a path that is almost right to one that is. It is exported so
// that what pushes can be given a handler in place of a socket; the bounds on connections are those
// of Serve.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch owner, callback := strings.CutPrefix(r.URL.Path, callbacks); {
	case callback:
		s.callback(w, r, owner)
	case r.URL.Path == "/healthz":
		s.health(w, r)
	case s.cfg.Pages[r.URL.Path] != nil:
		s.page(w, r, s.cfg.Pages[r.URL.Path])
	default:
		s.refuse(w, r, "", refusal{status: http.StatusNotFound})
	}
}

// health says that the daemon answers.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refuse(w, r, "", refusal{status: http.StatusMethodNotAllowed, allow: "GET, HEAD"})
		return
	}
	write(w, http.StatusOK, []byte("ok"))
}
