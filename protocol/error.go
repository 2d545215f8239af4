package protocol

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Code says what kind of "no" an error is. It is itself an error, and every
// [*Error] wraps its own, so a caller can ask errors.Is(err, protocol.NotFound).
// A server may answer with a code that is not among these; see "Versions".
type Code string

// The codes of protocol 1.
const (
	BadRequest  Code = "BAD_REQUEST" // the request is malformed
	NotFound    Code = "NOT_FOUND"   // no such credential, or not visible to this peer
	Denied      Code = "DENIED"      // visible, but this is not granted
	Waiting     Code = "WAITING"     // no pushed ticket, or it has expired
	Upstream    Code = "UPSTREAM"    // refused upstream; the message begins with errcode=
	Unavailable Code = "UNAVAILABLE" // not reached, or answered with nonsense
	Limited     Code = "LIMITED"     // a quota, or the guard before it
	Reauth      Code = "REAUTH"      // the grant is gone: authorise again
	Busy        Code = "BUSY"        // the daemon's own limits
	Shutdown    Code = "SHUTDOWN"    // the daemon is stopping
	Internal    Code = "INTERNAL"    // a fault of the daemon
)

// Codes returns every code, in the order of the specification.
func Codes() []Code {
	return []Code{BadRequest, NotFound, Denied, Waiting, Upstream, Unavailable, Limited, Reauth, Busy, Shutdown, Internal}
}

// Error returns the code, so that a Code can stand for all errors that carry it.
func (c Code) Error() string { return string(c) }

// Never is the RetryAfter of an error that waiting does not mend: "-".
const Never time.Duration = -1

// MaxMessage is the longest message of an error, in bytes.
const MaxMessage = 512

// Error is a refusal: the reply ERR <code> <retry_after> <message>.
type Error struct {
	Code Code

	// RetryAfter is when asking again may help. Zero is at once; negative
	// ([Never]) is not until someone acts.
	RetryAfter time.Duration

	// Message is for people, except that of [Upstream], which begins
	// errcode=<n>. It holds no secret.
	Message string
}

// Error returns code, message and the time to wait.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RetryAfter > 0 {
		s += " (try again in " + e.RetryAfter.String() + ")"
	}
	return s
}

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

// AppendError appends e as a line. Seconds are rounded up, so that a wait that is
// not over never reads 0. Whatever the message is made of, the line stays one line of
// printable UTF-8 and at most [MaxMessage] bytes of message.
func AppendError(dst []byte, e *Error) []byte {
	code := e.Code
	if !validCode(string(code)) {
		code = Internal
	}
	dst = append(dst, "ERR "...)
	dst = append(dst, code...)
	dst = append(dst, ' ')
	if e.RetryAfter < 0 {
		dst = append(dst, '-')
	} else {
		dst = strconv.AppendInt(dst, ceilSeconds(e.RetryAfter), 10)
	}
	dst = append(dst, ' ')
	dst = appendText(dst, e.Message, MaxMessage)
	return append(dst, '\n')
}

// ceilSeconds avoids d + time.Second - 1, which overflows at the far end.
func ceilSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// appendText appends s as text that ends neither its line nor its field's
// meaning: controls and invalid bytes become '?', leading and trailing spaces go,
// and what is longer than limit bytes is cut between two characters. Nothing at all
// becomes "-": a field is never empty.
func appendText(dst []byte, s string, limit int) []byte {
	start := len(dst)
	for _, r := range s {
		if isSpace := r == ' ' || r >= '\t' && r <= '\r'; isSpace {
			if len(dst) > start && len(dst)-start < limit {
				dst = append(dst, ' ')
			}
			continue
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			r = '?'
		}
		if len(dst)-start+utf8.RuneLen(r) > limit {
			break
		}
		dst = utf8.AppendRune(dst, r)
	}
	for len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	if len(dst) == start {
		dst = append(dst, '-')
	}
	return dst
}

// validCode reports whether s is spelt like a code, known or not.
func validCode(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && c != '_' {
			return false
		}
	}
	return true
}
