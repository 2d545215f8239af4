package protocol

import (
	"fmt"
	"unicode/utf8"
)

// Limits, in bytes.
const (
	// MaxLine is the longest line, its LF included.
	MaxLine = 65536

	// MaxName is the longest name, and the longest prefix of one.
	MaxName = 255

	// MaxSegment is the longest segment of a name.
	MaxSegment = 64

	// MaxValue is the longest value, and the longest URL. WeChat asks callers to
	// make room for 512 bytes of a token; half a line leaves room for what
	// it may think of, and for the rest of the line.
	MaxValue = MaxLine / 2
)

// text is what a validator reads: the server has bytes, a client has strings,
// and neither has to copy.
type text interface{ ~string | ~[]byte }

// ValidName reports whether s is a well-formed credential name:
// family/owner[/child]/credential, each segment 1 to [MaxSegment] characters of
// A-Z a-z 0-9 . _ @ -, at most [MaxName] bytes in all. A well-formed name need
// not exist.
func ValidName[T text](s T) bool { return checkName(s) == "" }

// ValidPrefix reports whether s can be the beginning of a name, or a whole one.
// A prefix is a string and not a path: "work/ww0" is one, and so is "", which
// every name begins with.
func ValidPrefix[T text](s T) bool { return checkPrefix(s) == "" }

// ValidValue reports whether s can be a credential's value: 1 to [MaxValue]
// printable ASCII characters, no space among them.
func ValidValue[T text](s T) bool { return checkValue(s) == "" }

// ValidURL reports whether s can be the page address of a SIGN: 1 to
// [MaxValue] bytes of UTF-8 without spaces and control characters. What the
// address means is not looked at.
func ValidURL[T text](s T) bool { return checkURL(s) == "" }

// field is what may stand in one place of a request.
type field uint8

const (
	name field = iota + 1
	prefix
	value
	url
)

// check returns what is wrong with s, or "". The text never contains s.
func check[T text](f field, s T) string {
	switch f {
	case name:
		return checkName(s)
	case prefix:
		return checkPrefix(s)
	case value:
		return checkValue(s)
	case url:
		return checkURL(s)
	}
	return "a field too many"
}

// nameByte says which bytes a segment of a name may hold.
var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '.' || c == '_' || c == '@' || c == '-'
	}
	return t
}()

func checkName[T text](s T) string {
	if len(s) > MaxName {
		return fmt.Sprintf("a name has at most %d bytes, this one %d", MaxName, len(s))
	}
	segments, start := 1, 0
	for i := range len(s) {
		c := s[i]
		if nameByte[c] {
			continue
		}
		if c != '/' {
			return wrongByte(i)
		}
		if wrong := checkSegment(i - start); wrong != "" {
			return wrong
		}
		segments, start = segments+1, i+1
	}
	if segments < 3 || segments > 4 {
		return fmt.Sprintf("a name is family/owner[/child]/credential: 3 or 4 segments, this one has %d", segments)
	}
	return checkSegment(len(s) - start)
}

// wrongByte does not show the byte: a client that swaps two fields would find a
// piece of its value in a log.
func wrongByte(i int) string {
	return fmt.Sprintf("byte %d cannot stand in a name; A-Z a-z 0-9 . _ @ - / can", i+1)
}

func checkSegment(n int) string {
	switch {
	case n == 0:
		return "a segment of the name is empty"
	case n > MaxSegment:
		return fmt.Sprintf("a segment of a name has at most %d characters, this one %d", MaxSegment, n)
	}
	return ""
}

func checkPrefix[T text](s T) string {
	if len(s) > MaxName {
		return fmt.Sprintf("a prefix has at most %d bytes, this one %d", MaxName, len(s))
	}
	for i := range len(s) {
		if c := s[i]; !nameByte[c] && c != '/' {
			return wrongByte(i)
		}
	}
	return ""
}

// checkValue names no character of s, not even a wrong one: s is a secret.
func checkValue[T text](s T) string {
	if wrong := checkLength("value", len(s)); wrong != "" {
		return wrong
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return fmt.Sprintf("byte %d of the value is no printable ASCII character", i+1)
		}
	}
	return ""
}

func checkURL[T text](s T) string {
	if wrong := checkLength("URL", len(s)); wrong != "" {
		return wrong
	}
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f {
			return fmt.Sprintf("byte %d of the URL is a space or control character: percent-encode it", i+1)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(string(s)) {
		return "the URL is not UTF-8"
	}
	return ""
}

func checkLength(what string, n int) string {
	switch {
	case n == 0:
		return "the " + what + " is empty"
	case n > MaxValue:
		return fmt.Sprintf("a %s has at most %d bytes, this one %d", what, MaxValue, n)
	}
	return ""
}
