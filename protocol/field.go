package protocol

// field is the kind of a request's field.
type field uint8

const (
	name field = iota + 1
	prefix
	value
	url
	owner
	code
	msgSignature
	timestamp
	nonce
	encrypt
	offset
)

// optional reports whether f may be left out at the end of a request.
func (f field) optional() bool { return f == prefix || f == offset }

// check returns the mistake in s, or "". The text never contains s.
func check[T text](f field, s T) string {
	switch f {
	case name:
		return checkName(s)
	case prefix:
		return checkPrefix(s)
	case value:
		return checkPrintable("value", s, MaxValue)
	case url:
		return checkURL(s)
	case owner:
		return checkOwner(s)
	case code:
		return checkPrintable("auth_code", s, MaxValue)
	case msgSignature:
		return checkSignature(s)
	case timestamp:
		return checkTimestamp(s)
	case nonce:
		return checkPrintable("nonce", s, maxNonce)
	case encrypt:
		return checkEncrypt(s)
	case offset:
		return checkOffset(s)
	}
	return "too many fields"
}
