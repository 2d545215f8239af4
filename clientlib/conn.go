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

	// part is the received part of a line that exceeds r's buffer or that a canceled request did
	// not wait for.
	part []byte

	// replyBegun reports whether any byte has arrived since the last request.
	replyBegun bool

	// broken reports whether a request could not be written.
	broken bool
}

func newConn(nc net.Conn) *conn { return &conn{Conn: nc, r: bufio.NewReader(nc)} }

// longAgo is a deadline in the past, also in the virtual time of a test.
var longAgo = time.Unix(1, 0)

// guard makes blocked calls on cn return when ctx is done. The returned function ends the guard:
// after it returns, the guard no longer changes cn. It reports whether cn is unchanged.
func (cn *conn) guard(ctx context.Context) (unguard func() bool) {
	deadline, _ := ctx.Deadline() // zero without a deadline, which also means none to cn
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

// request sends line and calls read for the reply.
func (cn *conn) request(line []byte, read func(*conn) error) error {
	cn.replyBegun = false
	_, failed := cn.Write(line)
	cn.broken = failed != nil
	// A daemon at its connection limit replies and closes without reading. So there may be a reply
	// although the write failed.
	if err := read(cn); failed == nil || answered(err) {
		return err
	}
	return failed
}

// reply reads the first line of a reply and returns the fields after OK. For ERR the error is the
// *Error.
func (cn *conn) reply() (fields string, err error) {
	line, err := cn.readLine()
	if err != nil {
		return "", err
	}
	fields, err = protocol.ParseReply(line)
	return fields, known(err)
}

// readLine reads one line and returns it without its LF. An error loses no received bytes: the next
// call continues with them.
func (cn *conn) readLine() (string, error) {
	for {
		piece, err := cn.r.ReadSlice('\n')
		cn.replyBegun = cn.replyBegun || len(piece) > 0
		if len(cn.part)+len(piece) > protocol.MaxLine {
			return "", fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, protocol.MaxLine)
		}
		if err == nil {
			line := string(append(cn.part, piece[:len(piece)-1]...))
			cn.part = nil // long lines are rare: free the buffer
			return line, nil
		}
		cn.part = append(cn.part, piece...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}
