package protocol

import (
	"strings"
	"time"
	"unicode/utf8"
)

// parseNumber reads a number in the protocol's form: at most 18 decimal digits, no sign, no leading
// zero. Such a number fits into an int64.
func parseNumber(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// maxSeconds is the largest number of seconds in a Duration.
const maxSeconds = int64(1<<63-1) / int64(time.Second)

func seconds(n int64) time.Duration { return time.Duration(min(n, maxSeconds)) * time.Second }

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// singleSpaced reports whether s is one or more fields separated by single spaces.
func singleSpaced(s string) bool {
	return s != "" && s[0] != ' ' && s[len(s)-1] != ' ' && !strings.Contains(s, "  ")
}

// lowerWord reports whether s has the form of a state, a cause or an outcome, or is "-", which
// means none.
func lowerWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= MaxSegment
}
