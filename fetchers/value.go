package fetchers

import "fmt"

// maxValue is the longest credential that is believed. WeChat documents 512
// bytes at most.
const maxValue = 4096

// wrongValue returns what keeps s from being a credential, or "". The text follows
// the name of the thing, and holds nothing of s.
func wrongValue(s string) string {
	switch {
	case s == "":
		return " is empty"
	case len(s) > maxValue:
		return fmt.Sprintf(" is longer than %d bytes", maxValue)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return " holds characters that no credential has"
		}
	}
	return ""
}

// maxID is the longest segment that a credential's name may have.
const maxID = 64

// validID reports whether s can be the id of an account, a corp or a suite. Ids
// become segments of names, and nothing that came from outside may make a name of
// another shape.
func validID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}
