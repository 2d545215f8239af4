package protocol

import "strconv"

// MaxArray is the largest number of bulk strings in a command of RESP.
const MaxArray = 1024

// FramingError is a violation of RESP's framing, in Redis' own words. The server replies with
// [AppendRedisError] and closes the connection, since it cannot know where the next command begins.
type FramingError string

// Error returns the words.
func (e FramingError) Error() string { return string(e) }

// The framing errors, except those that show a byte.
const (
	errArrayLength FramingError = "Protocol error: invalid multibulk length"
	errBulkLength  FramingError = "Protocol error: invalid bulk length"
	errCommandSize FramingError = "Protocol error: too big"
)

// expected is the error for the byte got in the place of a type.
func expected(what string, got byte) FramingError {
	shown := string(rune(got))
	switch {
	case got == '\r' || got == '\n':
		shown = " " // as in Redis: an error is one line
	case got < ' ' || got >= 0x7f:
		shown = "?"
	}
	return FramingError("Protocol error: expected '" + what + "', got '" + shown + "'")
}

// CutCommand cuts the first command of RESP off buf: an array of bulk strings, at most [MaxArray]
// of them and [MaxLine] bytes with the framing. It appends the strings to args[:0], which alias
// buf. An empty or null array has none. size is the number of bytes of the command. Without a whole
// command the error is [ErrIncomplete], or a [FramingError] if no bytes can complete it. CutCommand
// allocates only to grow args and for errors.
func CutCommand(buf []byte, args [][]byte) (all [][]byte, size int, err error) {
	args = args[:0]
	if len(buf) == 0 {
		return args, 0, ErrIncomplete
	}
	if buf[0] != '*' {
		return args, 0, expected("*", buf[0])
	}
	n, i, err := cutLength(buf, 1, errArrayLength)
	switch {
	case err != nil:
		return args, 0, err
	case n > MaxArray || n < -1:
		return args, 0, errArrayLength
	}
	for range n {
		if i == len(buf) {
			return args, 0, unfinished(buf)
		}
		if buf[i] != '$' {
			return args, 0, expected("$", buf[i])
		}
		length, start, err := cutLength(buf, i+1, errBulkLength)
		switch {
		case err == ErrIncomplete:
			return args, 0, unfinished(buf)
		case err != nil:
			return args, 0, err
		case length < 0:
			return args, 0, errBulkLength
		case length > int64(MaxLine-len(crlf)-start):
			return args, 0, errCommandSize
		}
		end := start + int(length)
		if end+len(crlf) > len(buf) {
			if end < len(buf) && buf[end] != '\r' {
				return args, 0, errBulkLength
			}
			return args, 0, unfinished(buf)
		}
		if string(buf[end:end+len(crlf)]) != crlf {
			return args, 0, errBulkLength
		}
		args = append(args, buf[start:end])
		i = end + len(crlf)
	}
	return args, i, nil
}

const crlf = "\r\n"

// unfinished is the error for a command whose rest is not in buf.
func unfinished(buf []byte) error {
	if len(buf) >= MaxLine {
		return errCommandSize
	}
	return ErrIncomplete
}

// maxLength is the number of bytes of the longest length: that of an int64 with its sign.
const maxLength = 20

// cutLength reads a length and its CR LF at buf[i:], and returns the index behind them. Any byte
// that cannot be part of them is the error wrong at once, so the result does not depend on how
// many bytes have arrived.
func cutLength(buf []byte, i int, wrong error) (n int64, end int, err error) {
	start := i
	for i < len(buf) && buf[i] != '\r' {
		c := buf[i]
		if digit := c >= '0' && c <= '9'; !digit && (c != '-' || i > start) || i-start >= maxLength {
			return 0, 0, wrong
		}
		i++
	}
	if i+1 >= len(buf) {
		if i < len(buf) && !isLength(buf[start:i]) {
			return 0, 0, wrong
		}
		return 0, 0, ErrIncomplete
	}
	if buf[i+1] != '\n' || !isLength(buf[start:i]) {
		return 0, 0, wrong
	}
	if i-start <= 4 { // nearly every length, without strconv
		for _, c := range buf[start:i] {
			if c != '-' {
				n = n*10 + int64(c-'0')
			}
		}
		if buf[start] == '-' {
			n = -n
		}
		return n, i + len(crlf), nil
	}
	if n, err = strconv.ParseInt(string(buf[start:i]), 10, 64); err != nil {
		return 0, 0, wrong
	}
	return n, i + len(crlf), nil
}

// isLength reports whether b, which has digits and perhaps a minus, is a number in its only form.
func isLength(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		return len(b) > 1 && b[1] != '0'
	}
	return len(b) == 1 || len(b) > 1 && b[0] != '0'
}

// getFrame is the beginning of a GET with one key, in capitals.
const getFrame = "*2\r\n$3\r\nGET\r\n$"

// CutGet is [CutCommand] for a GET with one key, in any letter case. ok is false for any other
// command, for an incomplete one, and for a key of more than 999 bytes. It does not allocate.
func CutGet(buf []byte) (key []byte, size int, ok bool) {
	if len(buf) < len(getFrame)+len("0\r\n\r\n") {
		return nil, 0, false
	}
	if string(buf[:8]) != getFrame[:8] || buf[8]|0x20 != 'g' || buf[9]|0x20 != 'e' || buf[10]|0x20 != 't' ||
		string(buf[11:len(getFrame)]) != getFrame[11:] {
		return nil, 0, false
	}
	n, i := 0, len(getFrame)
	for ; i < len(getFrame)+3 && i < len(buf) && buf[i] >= '0' && buf[i] <= '9'; i++ {
		n = n*10 + int(buf[i]-'0')
	}
	start := i + len(crlf)
	end := start + n
	if i == len(getFrame) || buf[len(getFrame)] == '0' && i > len(getFrame)+1 || end+len(crlf) > len(buf) ||
		string(buf[i:start]) != crlf || string(buf[end:end+len(crlf)]) != crlf {
		return nil, 0, false
	}
	return buf[start:end], end + len(crlf), true
}
