package protocol

import "fmt"

// A PUSH passes the fields on unchanged, since the signature covers their exact bytes. The checks
// of this file look at the form only. They detect swapped fields, a plus sign that became a space,
// and text in a callback URL that tries to inject a request.

const (
	// signatureLength is the length of a SHA-1 in hexadecimal.
	signatureLength = 40

	// maxTimestamp is the longest timestamp: any 64-bit number fits.
	maxTimestamp = 20

	// maxNonce is the longest nonce. WeChat's have about 10 characters.
	maxNonce = 128
)

func checkSignature[T text](s T) string {
	if len(s) != signatureLength {
		return fmt.Sprintf("a msg_signature has %d hexadecimal digits, this one %d characters", signatureLength, len(s))
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return fmt.Sprintf("byte %d of the msg_signature is not a hexadecimal digit", i+1)
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
			return fmt.Sprintf("byte %d of the timestamp is not a digit", i+1)
		}
	}
	return ""
}

// checkEncrypt checks the characters only. The receiver decodes them.
func checkEncrypt[T text](s T) string {
	if wrong := checkLength("encrypt", len(s), MaxEncrypt); wrong != "" {
		return wrong
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && !isDigit(c) && c != '+' && c != '/' && c != '=' {
			return fmt.Sprintf("byte %d of the encrypt is not base64", i+1)
		}
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
