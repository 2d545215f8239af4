package web

import (
	"context"
	"net/http"
	"time"
)

// maxEvents is how many clients can receive events at once. An open page is one, and takes about
// 20 KB.
const maxEvents = 32

// events answers with a view that sends events (text/event-stream), one data line each. A browser
// that gets an error asks for the page again instead.
func (s *Server) events(w http.ResponseWriter, r *http.Request, view View) {
	select {
	case s.followers <- struct{}{}:
		defer func() { <-s.followers }()
	default:
		s.refuse(w, r, "", refusal{status: http.StatusServiceUnavailable, reason: "too many open pages", page: true})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	// The limits of a request do not apply. A client that does not read is closed after the write
	// timeout of one event.
	send := func(data []byte) error {
		if err := rc.SetWriteDeadline(time.Now().Add(s.cfg.writeTimeout)); err != nil {
			return err
		}
		for _, part := range [][]byte{[]byte("data: "), data, []byte("\n\n")} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return rc.Flush()
	}
	if rc.SetReadDeadline(time.Time{}) != nil || rc.Flush() != nil || r.Method == http.MethodHead {
		return
	}
	err := s.guard(func() error { return view.Events(ctx, send) })
	if err != nil && ctx.Err() == nil {
		s.log.Debug("a page is no longer followed", "error", err)
	}
}
