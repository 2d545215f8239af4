package protocol

import (
	"bytes"
	"errors"
)

// ErrIncomplete says that a buffer does not hold a whole line yet: read more
// and cut again. It is an ordinary state of affairs, not a fault of the peer's.
var ErrIncomplete = errors.New("protocol: incomplete line")

// ErrLineTooLong is the answer to more than [MaxLine] bytes without an LF. Where
// the next request begins cannot be known then, so the connection is closed
// after it.
var ErrLineTooLong error = &Error{
	Code:       BadRequest,
	RetryAfter: Never,
	Message:    "the line is longer than 65536 bytes; closing the connection",
}

// CutLine cuts the first line off buf: line is without its LF and a CR before
// it, rest is what follows. Both alias buf. Where there is none it returns
// [ErrIncomplete], or [ErrLineTooLong] as soon as the first line cannot fit
// in [MaxLine] any more, and buf as rest. It never allocates, and it looks at no more
// than MaxLine bytes.
func CutLine(buf []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(buf[:min(len(buf), MaxLine)], '\n')
	if i < 0 {
		if len(buf) >= MaxLine {
			return nil, buf, ErrLineTooLong
		}
		return nil, buf, ErrIncomplete
	}
	line, rest = buf[:i], buf[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest, nil
}
