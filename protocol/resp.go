package protocol

import "strconv"

// The functions of this file write replies of RESP, the protocol of Redis. Each appends to dst and
// returns dst, as append does. They allocate only to grow dst. RESP3 differs from RESP2 in the null
// value and in maps and pushed messages.

// AppendBulk appends s, which may have any bytes, as a bulk string.
func AppendBulk[T text](dst []byte, s T) []byte {
	dst = appendLength(dst, '$', len(s))
	dst = append(dst, s...)
	return append(dst, crlf...)
}

// AppendArray appends the beginning of an array. n elements follow.
func AppendArray(dst []byte, n int) []byte { return appendLength(dst, '*', n) }

// AppendPushed appends the beginning of a message that is sent without a request. n elements
// follow.
func AppendPushed(dst []byte, resp3 bool, n int) []byte {
	if resp3 {
		return appendLength(dst, '>', n)
	}
	return AppendArray(dst, n)
}

// AppendMap appends the beginning of a map. n keys with a value each follow. In RESP2 it is an
// array of both.
func AppendMap(dst []byte, resp3 bool, n int) []byte {
	if resp3 {
		return appendLength(dst, '%', n)
	}
	return AppendArray(dst, 2*n)
}

// AppendNull appends the null value: in RESP2 a null bulk string.
func AppendNull(dst []byte, resp3 bool) []byte {
	if resp3 {
		return append(dst, "_\r\n"...)
	}
	return append(dst, "$-1\r\n"...)
}

// AppendNumber appends an integer.
func AppendNumber(dst []byte, n int64) []byte {
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, crlf...)
}

// AppendSimple appends a simple string, such as OK. s is printable ASCII.
func AppendSimple(dst []byte, s string) []byte {
	dst = append(dst, '+')
	dst = append(dst, s...)
	return append(dst, crlf...)
}

// AppendRedisError appends an error that Redis itself defines, in its words. Control characters
// become '?'.
func AppendRedisError(dst []byte, words string) []byte {
	dst = append(dst, '-')
	for i := range len(words) {
		c := words[i]
		if c < ' ' || c >= 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return append(dst, crlf...)
}

// AppendCommandError appends e as an error of RESP: the line of [AppendError] without ERR. The
// first word is never ERR, because clients take such an error for a missing key.
func AppendCommandError(dst []byte, e *Error) []byte {
	dst = append(dst, '-')
	dst = appendErrorFields(dst, e)
	return append(dst, crlf...)
}

func appendLength(dst []byte, kind byte, n int) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, crlf...)
}
