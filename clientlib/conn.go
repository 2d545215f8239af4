package clientlib

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tokend/protocol"
)

// conn is one connection to the daemon. It belongs to one request at a time.
type conn struct {
	net.Conn
	r *bufio.Reader

	// part is what has arrived of a line that is longer than r's buffer, or whose rest was
	// not waited for.
	part []byte

	// replyBegun is whether anything has arrived since the last request.
	replyBegun bool

	// broken is whether a request could not be written.
	broken bool
}

func newConn(nc net.Conn) *conn { return &conn{Conn: nc, r: bufio.NewReader(nc)} }

// longAgo is a deadline that has passed, in a bubble of virtual time too.
var longAgo = time.Unix(1, 0)

// guard makes whatever blocks on cn return when ctx is done. The function
// that it returns ends that, and nothing touches cn any more when it has
// returned; it reports whether cn has been left as it was.
func (cn *conn) guard(ctx context.Context) (unguard func() bool) {
	deadline, _ := ctx.Deadline() // none is the zero time, which is none for a connection too
	_ = cn.SetDeadline(deadline)  // fails only on a closed connection, as reading will
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	sprung := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = cn.SetDeadline(longAgo)
		close(sprung)
	})
	return func() bool {
		if stop() {
			return true
		}
		<-sprung
		return false
	}
}

// request sends line and has read take the reply.
func (cn *conn) request(line []byte, read func(*conn) error) error {
	cn.replyBegun = false
	_, failed := cn.Write(line)
	cn.broken = failed != nil
	// A daemon that is full says so and closes without reading, so that there may be
	// a reply although nothing could be written.
	if err := read(cn); failed == nil || answered(err) {
		return err
	}
	return failed
}

// reply reads the first line of a reply and returns what follows its OK. For ERR
// the error is the *Error.
func (cn *conn) reply() (fields string, err error) {
	line, err := cn.readLine()
	if err != nil {
		return "", err
	}
	return protocol.ParseReply(line)
}

// readLine reads one line and returns it without its LF. An error loses nothing
// of what has arrived: reading can go on where it stopped.
func (cn *conn) readLine() (string, error) {
	for {
		piece, err := cn.r.ReadSlice('\n')
		cn.replyBegun = cn.replyBegun || len(piece) > 0
		if len(cn.part)+len(piece) > protocol.MaxLine {
			return "", fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, protocol.MaxLine)
		}
		if err == nil {
			line := string(append(cn.part, piece[:len(piece)-1]...))
			cn.part = nil // long lines are rare: no reason to keep the room
			return line, nil
		}
		cn.part = append(cn.part, piece...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}
