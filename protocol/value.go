package protocol

import (
	"fmt"
	"unicode/utf8"
)

// ValidValue reports whether s can be a credential's value: 1 to [MaxValue] printable ASCII
// characters, without spaces.
func ValidValue[T text](s T) bool { return checkPrintable("value", s, MaxValue) == "" }

// ValidURL reports whether s can be the URL of a SIGN: 1 to [MaxValue] bytes of UTF-8 without
// spaces and control characters. The URL is not parsed.
func ValidURL[T text](s T) bool { return checkURL(s) == "" }

// checkPrintable never shows a character of s, since s is a secret.
func checkPrintable[T text](what string, s T, limit int) string {
	if wrong := checkLength(what, len(s), limit); wrong != "" {
		return wrong
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return fmt.Sprintf("byte %d of the %s is not a printable ASCII character", i+1, what)
		}
	}
	return ""
}

func checkURL[T text](s T) string {
	if wrong := checkLength("URL", len(s), MaxValue); wrong != "" {
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

func checkLength(what string, n, limit int) string {
	switch {
	case n == 0:
		return "the " + what + " is empty"
	case n > limit:
		return fmt.Sprintf("the %s has at most %d bytes, this one %d", what, limit, n)
	}
	return ""
}
