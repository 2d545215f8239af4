package server

import (
	"time"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// lines is the codec of the line protocol. It is the only user of package protocol's framing,
// parsing and replies.
type lines struct {
	request protocol.Request // here, and not on the stack, so that it is made once
}

const (
	// maxRequest is the size in bytes of the longest request, framing included.
	maxRequest = protocol.MaxLine

	// maxPiece is the size in bytes of a piece of a backup.
	maxPiece = protocol.MaxPiece
)

// errIncomplete says that the rest of a request has not arrived.
var errIncomplete = protocol.ErrIncomplete

// getWord is the beginning of nearly every request. It is a constant because its comparison is then
// one instruction.
const getWord = "GET "

func (*lines) cut(in []byte) (request, name []byte, size int, err error) {
	line, rest, err := protocol.CutLine(in)
	if err != nil {
		return nil, nil, 0, err
	}
	if len(line) >= len(getWord) && string(line[:len(getWord)]) == getWord {
		name = line[len(getWord):]
	}
	return line, name, len(in) - len(rest), nil
}

func (c *lines) answer(s *session, line []byte) action {
	r := &c.request
	if err := r.Parse(line); err != nil {
		s.failNone(err)
		return more
	}
	return s.call(r.Verb, r.Args[:])
}

func (*lines) close(*session) {}

func (*lines) value(dst []byte, ttl time.Duration, value string) []byte {
	return protocol.AppendValue(dst, ttl, value)
}

func (*lines) signature(dst []byte, timestamp int64, nonce, signature string) []byte {
	return protocol.AppendSignature(dst, timestamp, nonce, signature)
}

func (*lines) ok(dst []byte) []byte   { return protocol.AppendOK(dst) }
func (*lines) pong(dst []byte) []byte { return protocol.AppendPong(dst) }

func (*lines) version(dst []byte, version string) []byte {
	return protocol.AppendVersion(dst, version)
}

func (*lines) customer(dst []byte, name string) []byte { return protocol.AppendCustomer(dst, name) }

func (*lines) page(dst []byte, p credential.ImportPage) []byte {
	return protocol.AppendImportPage(dst, protocol.ImportPage{Total: p.Total, Kept: p.Kept, Next: p.Next})
}

func (*lines) count(dst []byte, n int) []byte { return protocol.AppendCount(dst, n) }
func (*lines) pairs(dst []byte, n int) []byte { return protocol.AppendCount(dst, n) }

func (*lines) listing(dst []byte, l credential.Listing) []byte {
	return protocol.AppendListing(dst, l.Name, l.State.String(), l.TTL)
}

func (*lines) pair(dst []byte, key, value string) []byte { return protocol.AppendPair(dst, key, value) }

func (*lines) counter(dst []byte, s credential.Stat) []byte {
	return protocol.AppendCounter(dst, s.Key, s.Value)
}

func (*lines) attempt(dst []byte, a credential.Attempt) []byte { return appendAttempt(dst, a) }

// appendAttempt appends a line of HISTORY.
func appendAttempt(dst []byte, a credential.Attempt) []byte {
	return protocol.AppendAttempt(dst, protocol.Attempt{
		Time:    a.At,
		Cause:   a.Cause.String(),
		Outcome: a.Outcome,
		ErrCode: a.ErrCode,
		RID:     a.RID,
		Took:    a.Took,
	})
}

func (*lines) piece(dst, b []byte) []byte { return protocol.AppendPiece(dst, b) }

func (*lines) change(dst []byte, l credential.Listing) []byte {
	return protocol.AppendChanged(dst, l.Name, l.State.String(), l.TTL)
}

func (*lines) fail(dst []byte, e *protocol.Error) []byte { return protocol.AppendError(dst, e) }

// crowdedReply is sent before the first byte is read, so the peer's codec is not known.
func crowdedReply() []byte { return protocol.AppendError(nil, errTooMany) }
