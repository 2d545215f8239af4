package web

import (
	"io"
	"net/http"
	"time"
)

// Bounds of the rejected body that is read and discarded: bytes and time. That costs a copy and no
// memory, much less than the push of maxBody bytes that the client could have sent instead.
const (
	maxDropped = 16 << 20
	maxLinger  = time.Second
)

// linger discards the rest of the body of r after an answer that did not wait for it, as refuse
// sends. If a connection is closed while its peer still sends, the kernel resets it. A peer that
// writes its whole request before it reads would then lose the answer. net/http also lingers, but
// it does not read. It does not linger for requests with "Connection: close", which nginx sets on
// every forwarded request.
func linger(w http.ResponseWriter, r *http.Request) {
	// No body, or the client withholds it until asked.
	if r.ContentLength == 0 || r.Header.Get("Expect") != "" {
		return
	}
	c := connOf(r.Context())
	rc := http.NewResponseController(w)
	if c == nil || rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(maxLinger)) != nil {
		return
	}
	_ = c.CloseWrite() // now c is ending and takes no slot
	_, _ = io.CopyN(io.Discard, r.Body, maxDropped)
}
