package web

import (
	"io"
	"net/http"
	"time"
)

// How much of a body that was refused is read and dropped, in bytes, and for how long. That costs a
// copy and no memory: much less than the push of maxBody that whoever sends it could have made
// instead.
const (
	maxDropped = 16 << 20
	maxLinger  = time.Second
)

// linger reads on after an answer that did not wait for the whole of the body of r, as refuse
// gives. A connection that is closed on what its peer still sends is reset, and a peer that writes
// its request to the end before it reads would lose the answer. net/http lingers too, but it reads
// nothing meanwhile, and does not do it for who has said that it will close, as nginx does with
// every request that it passes on.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Expect") != "" { // there is nothing, or it is held back until it is asked for
		return
	}
	c := connOf(r.Context())
	rc := http.NewResponseController(w)
	if c == nil || rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(maxLinger)) != nil {
		return
	}
	_ = c.CloseWrite() // from now on it does not count, and takes nobody's place
	_, _ = io.CopyN(io.Discard, r.Body, maxDropped)
}
