package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxStreams is how many streamed bodies are written at once. Each takes a buffer. A client that
// reads slowly keeps its slot until the write timeout.
const maxStreams = 8

// stream answers with a view that writes its body itself. A fault before the first byte is answered
// 500. After the first byte the connection is closed: the body has no announced length, and a
// client must not mistake a part for the whole.
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
		s.log.Error("cannot render page", "path", r.URL.Path, "error", err)
	}
	if b.begun {
		panic(http.ErrAbortHandler)
	}
	s.refuse(w, r, "", refusal{status: http.StatusInternalServerError, page: true})
}

// errHead reports that only the header was requested.
var errHead = errors.New("only the header was requested")

// body is the body of an answer.
type body struct {
	w     io.Writer
	head  bool  // only the header was requested
	begun bool  // some bytes have been written
	err   error // from w
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
