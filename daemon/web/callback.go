package web

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tokend/daemon/credential"
)

// done is the body that acknowledges a push. WeChat accepts no other.
const done = "success"

// callback answers a request for owner's callback URL. owner is the rest of the path, with or
// without a trailing slash.
func (s *Server) callback(w http.ResponseWriter, r *http.Request, owner string) {
	owner = strings.TrimSuffix(owner, "/")
	known, verified := s.cfg.Inbox.Knows(owner)
	switch {
	case !known:
		s.refuse(w, r, owner, refusal{status: http.StatusNotFound})
	case r.Method == http.MethodPost:
		s.push(w, r, owner)
	case r.Method == http.MethodGet && verified:
		s.verify(w, r, owner)
	case verified:
		s.refuse(w, r, owner, refusal{status: http.StatusMethodNotAllowed, allow: "GET, POST"})
	default:
		s.refuse(w, r, owner, refusal{status: http.StatusMethodNotAllowed, allow: "POST"})
	}
}

// push passes the posted body to the inbox and acknowledges it if it was stored.
func (s *Server) push(w http.ResponseWriter, r *http.Request, owner string) {
	q, ok := query(r, "msg_signature", "timestamp", "nonce")
	if !ok {
		s.refuse(w, r, owner, refusal{status: http.StatusBadRequest, reason: "malformed query"})
		return
	}
	signature, timestamp, nonce := q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce")
	// Check before waiting for the body.
	if err := s.cfg.Inbox.Check(owner, signature, timestamp, nonce); err != nil {
		s.refuse(w, r, owner, refusalOf(err))
		return
	}
	body, release, err := s.read(w, r)
	if err != nil {
		s.refuse(w, r, owner, refusalOf(err))
		return
	}
	defer release()
	c := connOf(r.Context())
	c.keep()
	err = s.attempt(s.attempts, s.cfg.answerTimeout, func() error {
		began := time.Now()
		err := s.cfg.Inbox.Envelope(r.Context(), owner, signature, timestamp, nonce, body)
		s.account(c.from(), len(body), began, err)
		return err
	})
	if err != nil {
		s.refuse(w, r, owner, refusalOf(err))
		return
	}
	write(w, http.StatusOK, []byte(done))
}

// account charges or credits the source of a body of size bytes whose processing started at began.
func (s *Server) account(from netip.Prefix, size int, began time.Time, err error) {
	now := time.Now()
	refused, ok := errors.AsType[*credential.Error](err)
	switch {
	case err == nil:
		s.budget.genuine(from, now)
	case size > freeBody && ok && (refused.Reason == credential.Denied || refused.Reason == credential.Unfit):
		s.budget.failed(from, now.Sub(began), now)
	}
}

// verify answers WeCom's verification of the callback URL.
func (s *Server) verify(w http.ResponseWriter, r *http.Request, owner string) {
	q, ok := query(r, "msg_signature", "timestamp", "nonce", "echostr")
	if !ok {
		s.refuse(w, r, owner, refusal{status: http.StatusBadRequest, reason: "malformed query"})
		return
	}
	// WeCom escapes the + of base64 as %2B. A proxy may have unescaped it, and an unescaped + in a
	// query is decoded as a space. Base64 has no spaces.
	echo := strings.ReplaceAll(q.Get("echostr"), " ", "+")
	var plain []byte
	err := s.guard(func() (err error) {
		plain, err = s.cfg.Inbox.Verify(owner, q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), echo)
		return err
	})
	if err != nil {
		s.refuse(w, r, owner, refusalOf(err))
		return
	}
	write(w, http.StatusOK, plain)
}

// query returns the well-formed parameters of r. ok is false if a used one is missing and the query
// is malformed. Other parameters are ignored: a proxy or a person may have added them.
func query(r *http.Request, used ...string) (q url.Values, ok bool) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	return q, err == nil || !slices.ContainsFunc(used, func(key string) bool { return !q.Has(key) })
}
