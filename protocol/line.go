package protocol

import (
	"bytes"
	"errors"
)

// ErrIncomplete reports that a buffer does not contain a whole line yet: the caller reads more and
// cuts again. It is not an error of the peer.
var ErrIncomplete = errors.New("protocol: incomplete line")

// ErrLineTooLong is the reply to a line of more than [MaxLine] bytes. The server then closes the
// connection, since it cannot know where the next request begins.
var ErrLineTooLong error = &Error{
	Code:       BadRequest,
	RetryAfter: Never,
	Message:    "the line is longer than 65536 bytes; closing the connection",
}

// CutLine cuts the first line off buf. line has neither its LF nor a CR before the LF; rest is what
// follows. Both alias buf. Without a complete line, CutLine returns buf as rest and
// [ErrIncomplete], or [ErrLineTooLong] if the line cannot fit in [MaxLine]. CutLine does not
// allocate and examines at most MaxLine bytes.
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
