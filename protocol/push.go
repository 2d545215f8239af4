package protocol

import "fmt"

// The fields of a PUSH are passed on as they were received, since the signature is made
// over their very bytes. What is looked at here is their shape: it finds two that have been
// swapped, a space that was a plus sign, and whatever a stranger has put into the address
// of a web page to say something of its own on the connection.

const (
	// signatureLength is that of a SHA-1 in hexadecimal.
	signatureLength = 40

	// maxTimestamp is the longest timestamp: any 64-bit number.
	maxTimestamp = 20

	// maxNonce is the longest nonce; those that are sent are about 10 characters.
	maxNonce = 128
)

func checkSignature[T text](s T) string {
	if len(s) != signatureLength {
		return fmt.Sprintf("a msg_signature has %d hexadecimal digits, this one %d characters", signatureLength, len(s))
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return fmt.Sprintf("byte %d of the msg_signature is no hexadecimal digit", i+1)
		}
	}
	return ""
}

func checkTimestamp[T text](s T) string {
	if wrong := checkLength("timestamp", len(s), maxTimestamp); wrong != "" {
		return wrong
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return fmt.Sprintf("byte %d of the timestamp is no digit", i+1)
		}
	}
	return ""
}

// checkEncrypt looks at letters only; whether they decode is the receiver's to say.
func checkEncrypt[T text](s T) string {
	if wrong := checkLength("encrypt", len(s), MaxEncrypt); wrong != "" {
		return wrong
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && !isDigit(c) && c != '+' && c != '/' && c != '=' {
			return fmt.Sprintf("byte %d of the encrypt is not of base64", i+1)
		}
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
