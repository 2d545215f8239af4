package server

import (
	"time"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// codec is a wire format. A session is independent of it: the session decides what a request gets,
// and the codec reads the request and writes the replies. One codec serves one session, so it may
// keep state, such as a version that was negotiated. The first byte of a connection selects the
// codec, see Server.codecOf.
//
// A codec reads bytes that a hostile peer has sent. It keeps nothing of them after a call.
type codec interface {
	// cut returns the first request in in, and its size in bytes. name is that of a GET without any
	// options, nil for any other request: most requests are hits and need no further parsing. The
	// error is errIncomplete if more bytes are needed, which is not so if there are maxRequest. Any
	// other error is a *protocol.Error: it is answered, and the connection is closed.
	cut(in []byte) (request, name []byte, size int, err error)

	// answer parses a request and calls the session's method for it: call for a verb of the
	// protocol. It returns the result of that. It answers an invalid request by failNone.
	answer(s *session, request []byte) action

	// close releases what the codec holds of the user's shares. It is called at the end.
	close(s *session)

	replies
}

// replies append a reply, or a part of one, to dst.
type replies interface {
	value(dst []byte, ttl time.Duration, value string) []byte // GET, REJECT, REFRESH
	signature(dst []byte, timestamp int64, nonce, signature string) []byte
	ok(dst []byte) []byte
	pong(dst []byte) []byte
	version(dst []byte, version string) []byte
	customer(dst []byte, name string) []byte // EXCHANGE
	page(dst []byte, p credential.ImportPage) []byte

	// count is followed by n listings, attempts or pieces, and pairs by n pairs or counters.
	count(dst []byte, n int) []byte
	listing(dst []byte, l credential.Listing) []byte
	attempt(dst []byte, a credential.Attempt) []byte
	piece(dst, b []byte) []byte // BACKUP, at most maxPiece bytes

	pairs(dst []byte, n int) []byte
	pair(dst []byte, key, value string) []byte    // STATUS
	counter(dst []byte, s credential.Stat) []byte // STATS

	// change is sent without a request, after a WATCH.
	change(dst []byte, l credential.Listing) []byte

	// fail is the only reply to a request, except that a WATCH may end with it.
	fail(dst []byte, e *protocol.Error) []byte
}

// codecOf returns the codec of a connection whose first byte is first. A session uses the line
// protocol until then. lines is the session's own codec for it.
func (s *Server) codecOf(first byte, lines *lines) codec {
	switch {
	case s.cfg.codec != nil:
		return s.cfg.codec(first)
	case first == respByte:
		return new(resp)
	}
	return lines
}
