package protocol

import "fmt"

// Limits, in bytes.
const (
	// MaxLine is the longest line, including its LF.
	MaxLine = 65536

	// MaxName is the longest name and the longest prefix.
	MaxName = 255

	// MaxSegment is the longest segment of a name.
	MaxSegment = 64

	// MaxValue is the longest value and the longest URL. WeChat asks callers to reserve 512 bytes
	// for a token. Half a line leaves room for longer values and for the other fields.
	MaxValue = MaxLine / 2

	// MaxEncrypt is the longest encrypt field of a PUSH: 60 KiB. With the longest of the other
	// fields it still fits into a line. Real pushes are shorter than 2 KiB.
	MaxEncrypt = 60 << 10
)

// text is the input of a validator: bytes in a server, strings in a client. Neither has to copy.
type text interface{ ~string | ~[]byte }

// ValidName reports whether s is a well-formed credential name: family/owner[/child]/credential, 3
// to 5 segments, since some owners have two. Each segment has 1 to [MaxSegment] characters of A-Z
// a-z 0-9 . _ @ -, and the whole name at most [MaxName] bytes. A well-formed name need not exist.
func ValidName[T text](s T) bool { return checkName(s) == "" }

// ValidPrefix reports whether s can be the beginning of a name, or a whole name. A prefix is a
// string, not a path: "work/ww0" is a prefix, and "" is a prefix of every name.
func ValidPrefix[T text](s T) bool { return checkPrefix(s) == "" }

// ValidOwner reports whether s is well-formed as the owner of grants and callbacks: family/owner,
// two segments as in a name.
func ValidOwner[T text](s T) bool { return checkOwner(s) == "" }

// nameByte holds the bytes that a segment may contain.
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
	return checkSegments(s, 3, 5, "a name is family/owner[/child]/credential: 3 to 5 segments")
}

func checkOwner[T text](s T) string {
	return checkSegments(s, 2, 2, "an owner is family/owner: 2 segments")
}

func checkCustomer[T text](s T) string {
	return checkSegments(s, 3, 3, "a customer is family/owner/child: 3 segments")
}

// checkSegments checks that s has least to most segments; form describes them.
func checkSegments[T text](s T, least, most int, form string) string {
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
	if segments < least || segments > most {
		return fmt.Sprintf("%s, this one has %d", form, segments)
	}
	return checkSegment(len(s) - start)
}

// wrongByte does not show the byte: if a client swaps two fields, the byte is part of a secret.
func wrongByte(i int) string {
	return fmt.Sprintf("byte %d is not allowed in a name; A-Z a-z 0-9 . _ @ - / are", i+1)
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
