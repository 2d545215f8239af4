package protocol

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Code is the code of an error reply. A Code is itself an error, and every [*Error] wraps its own,
// so that a caller can test errors.Is(err, protocol.NotFound). A newer server may send other codes;
// see "Versions" in docs/protocol.md.
type Code string

// The codes of protocol 1.
const (
	BadRequest  Code = "BAD_REQUEST" // the request is malformed
	NotFound    Code = "NOT_FOUND"   // no such credential, or hidden from this peer
	Denied      Code = "DENIED"      // visible, but this request is not permitted
	Waiting     Code = "WAITING"     // no pushed ticket, or it has expired
	Upstream    Code = "UPSTREAM"    // refused upstream; the message begins with errcode=
	Unavailable Code = "UNAVAILABLE" // upstream unreachable, or an invalid answer
	Limited     Code = "LIMITED"     // a quota, or tokend's own limit before it
	Reauth      Code = "REAUTH"      // the grant is lost: authorize again
	Busy        Code = "BUSY"        // a limit of the daemon
	Shutdown    Code = "SHUTDOWN"    // the daemon is stopping
	Internal    Code = "INTERNAL"    // a fault of the daemon
)

// Codes returns every code, in the order of the specification.
func Codes() []Code {
	return []Code{BadRequest, NotFound, Denied, Waiting, Upstream, Unavailable, Limited, Reauth, Busy, Shutdown, Internal}
}

// Error returns the code, so that errors.Is can compare an error with a Code.
func (c Code) Error() string { return string(c) }

// Never is the RetryAfter of an error for which a retry does not help: "-".
const Never time.Duration = -1

// MaxMessage is the longest message of an error, in bytes.
const MaxMessage = 512

// Error is the reply ERR <code> <retry_after> <message>.
type Error struct {
	Code Code

	// RetryAfter is the time after which a retry may help. Zero means at once. A negative time
	// ([Never]) means not until an operator acts.
	RetryAfter time.Duration

	// Message is text for people, except that the message of [Upstream] begins with errcode=<n>. It
	// contains no secret.
	Message string
}

// Error returns the code, the message and the time to wait.
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

// AppendError appends e as a line. Seconds are rounded up, so that a wait never reads 0 before it
// is over. The line is always one line of printable UTF-8 with at most [MaxMessage] bytes of
// message.
func AppendError(dst []byte, e *Error) []byte {
	dst = append(dst, "ERR "...)
	dst = appendErrorFields(dst, e)
	return append(dst, '\n')
}

// appendErrorFields appends <code> <retry_after> <message>.
func appendErrorFields(dst []byte, e *Error) []byte {
	code := e.Code
	if !validCode(string(code)) {
		code = Internal
	}
	dst = append(dst, code...)
	dst = append(dst, ' ')
	if e.RetryAfter < 0 {
		dst = append(dst, '-')
	} else {
		dst = strconv.AppendInt(dst, ceilSeconds(e.RetryAfter), 10)
	}
	dst = append(dst, ' ')
	return appendText(dst, e.Message, MaxMessage)
}

// ceilSeconds avoids d + time.Second - 1, which overflows for the largest durations.
func ceilSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// appendText appends s as one field of text. Control characters and invalid bytes become '?'.
// Leading and trailing spaces are removed, and a long text is cut at limit bytes between two
// characters. An empty text becomes "-", since a field is never empty.
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

// validCode reports whether s has the form of a code, known or unknown.
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
