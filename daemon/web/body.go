package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Sizes of bodies, in bytes. A push has some 500 to 4000; a suite's State and ExtraInfo, or a
// long list of permissions, may double that.
const (
	maxBody   = 1 << 20  // beyond it: 413
	smallBody = 32 << 10 // up to it a body is held without asking
)

// maxLarge is how many bodies beyond smallBody are held at once. Nothing genuine needs one; they
// are let in because WeChat promises no smaller limit.
const maxLarge = 8

var (
	errTooLarge = errors.New("body over 1 MiB")
	errNoRoom   = errors.New("too many large bodies at once")
	errCostly   = errors.New("too many large bodies that are not genuine")
	errCutShort = errors.New("the body did not arrive")
)

// read returns the body of r. The caller calls release when it does not need it any more.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxBody {
		return nil, nil, errTooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	release = func() {}
	body, err = io.ReadAll(io.LimitReader(limited, smallBody+1))
	if len(body) > freeBody && !s.budget.admit(connOf(r.Context()).from(), time.Now()) {
		return nil, nil, errCostly
	}
	if err == nil && len(body) > smallBody {
		select {
		case s.large <- struct{}{}:
		default:
			return nil, nil, errNoRoom
		}
		release = func() { <-s.large }
		var rest []byte
		rest, err = io.ReadAll(limited)
		body = append(body, rest...)
	}
	if err != nil {
		release()
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, nil, errTooLarge
		}
		return nil, nil, errCutShort
	}
	return body, release, nil
}
