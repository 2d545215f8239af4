package fetchers

import "fmt"

// maxValue is the longest plausible credential. WeChat documents at most 512 bytes.
const maxValue = 4096

// wrongValue returns why s is not a credential, or "". The text follows the credential's name and
// contains nothing of s.
func wrongValue(s string) string {
	switch {
	case s == "":
		return " is empty"
	case len(s) > maxValue:
		return fmt.Sprintf(" is longer than %d bytes", maxValue)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return " contains invalid characters"
		}
	}
	return ""
}

// maxID is the longest segment of a credential's name.
const maxID = 64

// validID reports whether s can be the ID of an account, a corp or a suite. IDs become segments of
// names, and input from outside must not create a malformed name.
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
