package protocol

import (
	"strconv"
	"time"
)

// The functions of this file write replies. Each appends exactly one line with its LF to dst and
// returns dst, as append does. They allocate only to grow dst. No input makes them write two lines.

// AppendOK appends an OK without fields.
func AppendOK(dst []byte) []byte { return append(dst, "OK\n"...) }

// AppendPong appends the reply to PING.
func AppendPong(dst []byte) []byte { return append(dst, "OK PONG\n"...) }

// AppendVersion appends the reply to VERSION. version is one word, such as 1.4.0.
func AppendVersion(dst []byte, version string) []byte {
	dst = append(dst, "OK tokend "...)
	dst = appendWord(dst, version, MaxSegment)
	return append(dst, " protocol 1\n"...)
}

// AppendValue appends the reply to GET, REJECT and REFRESH. value must be a [ValidValue]: the
// daemon checks a value once when it arrives, not for each reply. ttl is rounded down to whole
// seconds and is at least 1, since only valid values are served.
func AppendValue(dst []byte, ttl time.Duration, value string) []byte {
	dst = append(dst, "OK "...)
	dst = strconv.AppendInt(dst, floorSeconds(ttl), 10)
	dst = append(dst, ' ')
	dst = append(dst, value...)
	return append(dst, '\n')
}

// AppendSignature appends the reply to SIGN. timestamp is in Unix seconds.
func AppendSignature(dst []byte, timestamp int64, nonce, signature string) []byte {
	dst = append(dst, "OK "...)
	dst = strconv.AppendInt(dst, timestamp, 10)
	dst = append(dst, ' ')
	dst = appendWord(dst, nonce, MaxSegment)
	dst = append(dst, ' ')
	dst = appendWord(dst, signature, MaxSegment)
	return append(dst, '\n')
}

// AppendCustomer appends the reply to EXCHANGE: the customer as family/owner/child.
func AppendCustomer(dst []byte, customer string) []byte {
	dst = append(dst, "OK "...)
	dst = appendWord(dst, customer, MaxName)
	return append(dst, '\n')
}

// AppendCount appends the first line of a reply with n further lines.
func AppendCount(dst []byte, n int) []byte {
	dst = append(dst, "OK "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\n')
}

// AppendListing appends a line of LIST, or of the list at the beginning of WATCH. name must be a
// [ValidName]. A ttl of zero or less is written as "-".
func AppendListing(dst []byte, name, state string, ttl time.Duration) []byte {
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = appendWord(dst, state, MaxSegment)
	dst = append(dst, ' ')
	if ttl <= 0 {
		dst = append(dst, '-')
	} else {
		dst = strconv.AppendInt(dst, floorSeconds(ttl), 10)
	}
	return append(dst, '\n')
}

// AppendChanged appends the line that reports a change to a watcher; see [AppendListing].
func AppendChanged(dst []byte, name, state string, ttl time.Duration) []byte {
	dst = append(dst, "CHANGED "...)
	return AppendListing(dst, name, state, ttl)
}

// AppendPair appends a line of STATUS or STATS. An empty value is "-".
func AppendPair(dst []byte, key, value string) []byte {
	dst = appendWord(dst, key, MaxName)
	dst = append(dst, ' ')
	dst = appendText(dst, value, MaxMessage)
	return append(dst, '\n')
}

// AppendCounter appends a line of STATUS or STATS whose value is a number.
func AppendCounter(dst []byte, key string, n int64) []byte {
	dst = appendWord(dst, key, MaxName)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\n')
}

// AppendAttempt appends a line of HISTORY.
func AppendAttempt(dst []byte, a Attempt) []byte {
	dst = a.Time.UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, ' ')
	dst = appendWord(dst, a.Cause, MaxSegment)
	dst = append(dst, ' ')
	dst = appendWord(dst, a.Outcome, MaxSegment)
	dst = append(dst, " errcode="...)
	dst = strconv.AppendInt(dst, int64(a.ErrCode), 10)
	dst = append(dst, " rid="...)
	dst = appendWord(dst, a.RID, MaxName)
	dst = append(dst, " ms="...)
	dst = strconv.AppendInt(dst, max(0, a.Took.Milliseconds()), 10)
	return append(dst, '\n')
}

// floorSeconds returns the ttl of a valid value: never 0.
func floorSeconds(ttl time.Duration) int64 { return max(1, int64(ttl/time.Second)) }

// appendWord appends s as one field of at most limit bytes. Other characters than printable ASCII
// become '_', and an empty s becomes "-".
func appendWord(dst []byte, s string, limit int) []byte {
	if s == "" {
		return append(dst, '-')
	}
	for i := range min(len(s), limit) {
		c := s[i]
		if c <= ' ' || c >= 0x7f {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}
