package web

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Body sizes in bytes. A push has about 500 to 4000 bytes. A suite's State and ExtraInfo, or a long
// list of permissions, may double that.
const (
	maxBody   = 1 << 20  // larger bodies are answered 413
	smallBody = 32 << 10 // smaller bodies are read without a slot
)

// maxLarge is how many bodies beyond smallBody are in memory at once. No genuine push is known to
// need one. They are allowed because WeChat documents no smaller limit.
const maxLarge = 8

var (
	errTooLarge  = errors.New("body over 1 MiB")
	errManyLarge = errors.New("too many large bodies at once")
	errCostly    = errors.New("too many large bodies that are not genuine")
	errCutShort  = errors.New("incomplete body")
)

// read returns the body of r. The caller calls release when it no longer needs the body.
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
			return nil, nil, errManyLarge
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
