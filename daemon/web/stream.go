package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxStreams is how many bodies are written at once that are not held. Each has a buffer, and a
// client that reads slowly has its place until the write timeout.
const maxStreams = 8

// stream answers with a view that writes its body itself. A fault before the first byte is answered
// 500. After that the connection is cut: the body has no length, and a client must not take what
// has come of it for all.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, view View) {
	t := time.NewTimer(s.cfg.answerTimeout)
	defer t.Stop()
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	case <-t.C:
		no := refusalOf(errLate)
		no.page = true
		s.refuse(w, r, "", no)
		return
	}
	w.Header().Set("Content-Type", view.Type)
	b := body{w: w, head: r.Method == http.MethodHead}
	err := s.guard(func() error { return view.Write(&b) })
	switch {
	case err == nil || errors.Is(err, errHead):
		return
	case b.err == nil && r.Context().Err() == nil:
		s.log.Error("a page could not be made", "path", r.URL.Path, "error", err)
	}
	if b.begun {
		panic(http.ErrAbortHandler)
	}
	s.refuse(w, r, "", refusal{status: http.StatusInternalServerError, page: true})
}

// errHead says that only the header was asked for.
var errHead = errors.New("the body was not asked for")

// body is the body of an answer.
type body struct {
	w     io.Writer
	head  bool  // there is none
	begun bool  // some has been written
	err   error // of w
}

func (b *body) Write(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.head {
		b.err = errHead
		return 0, b.err
	}
	b.begun = true
	n, b.err = b.w.Write(p)
	return n, b.err
}
