package fetchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

// maxCount is far beyond any number of customers, and beyond any time in seconds
// that a calendar of four digits has (the end of the year 9999).
const maxCount = 253402300799

// object is a JSON object by its exact keys: encoding/json would let
// "Access_Token" stand for "access_token". A nil object has no members.
type object map[string]json.RawMessage

// parseObject parses one JSON object and nothing else. A key that comes twice
// makes the answer ambiguous, and so no answer: encoding/json would take the
// last, and who knows which of them WeChat meant.
func parseObject(body []byte) (object, error) {
	body = bytes.TrimSpace(body)
	broken := errors.New("the answer is not JSON, or cut short")
	switch {
	case len(body) == 0:
		return nil, errors.New("the answer is empty")
	case body[0] == '<':
		return nil, errors.New("the answer is a web page, not JSON")
	case body[0] != '{':
		return nil, errors.New("the answer is not a JSON object")
	case !json.Valid(body): // looks at what follows the object, too
		return nil, broken
	}
	o := make(object, usualMembers)
	for rest := skipSpace(body[1:]); rest[0] != '}'; {
		raw, after := cutValue(rest)
		key, err := unquote(raw)
		if err != nil {
			return nil, broken
		}
		value, after := cutValue(skipSpace(skipSpace(after)[1:])) // what is skipped is the colon
		if _, twice := o[key]; twice {
			return nil, errors.New("the answer says something twice")
		}
		o[key] = value
		if rest = skipSpace(after); rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
	}
	return o, nil
}

// usualMembers is how many members an answer has at most, nearly always.
const usualMembers = 8

// skipSpace returns b without the space of JSON that it begins with.
func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// cutValue cuts JSON that is known to be valid behind the value that it begins with. What comes back are parts of b.
func cutValue(b []byte) (value json.RawMessage, after []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++ // whatever comes next does not end the text
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return b[: i+1 : i+1], b[i+1:]
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 { // a number or a word ends with what it stands in
				return b[:i:i], b[i:]
			}
			if depth--; depth == 0 {
				return b[: i+1 : i+1], b[i+1:]
			}
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return b[:i:i], b[i:]
		}
	}
	return b, nil
}

// unquote returns the text that raw, a valid value of JSON, stands for, or an error where it is none.
func unquote(raw []byte) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errNoText
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c >= utf8.RuneSelf {
			var s string
			err := json.Unmarshal(raw, &s)
			return s, err
		}
	}
	return string(raw[1 : len(raw)-1]), nil
}

var errNoText = errors.New("not text")

// has reports whether key is there and not null.
func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// errcode returns the answer's errcode, or 0 where it has none: not every
// endpoint says 0 on success.
func (o object) errcode() (int, error) {
	if !o.has("errcode") {
		return 0, nil
	}
	n, err := number(o["errcode"])
	// Seven digits are the most that the vendor's tables have.
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1e9 {
		return 0, errors.New("errcode is not a whole number")
	}
	return int(n), nil
}

// errmsg returns the answer's errmsg as it came, or "" where it is no text.
func (o object) errmsg() string {
	s, err := unquote(o["errmsg"])
	if err != nil {
		return ""
	}
	return s
}

// value returns the credential under key.
func (o object) value(key string) (secret.Text, error) {
	s, err := o.text(key)
	if err != nil {
		return "", err
	}
	if wrong := wrongValue(s); wrong != "" {
		return "", errors.New(key + wrong)
	}
	return secret.Text(s), nil
}

// valueIfAny is value, or "" where there is none under key.
func (o object) valueIfAny(key string) (secret.Text, error) {
	if !o.has(key) {
		return "", nil
	}
	if s, err := o.text(key); err != nil || s == "" {
		return "", err
	}
	return o.value(key)
}

// id returns the id of an account under key.
func (o object) id(key string) (string, error) {
	s, err := o.text(key)
	if err != nil {
		return "", err
	}
	if !validID(s) {
		return "", fmt.Errorf("%s is no account's id", key)
	}
	return s, nil
}

func (o object) text(key string) (string, error) {
	if !o.has(key) {
		return "", fmt.Errorf("the answer has no %s", key)
	}
	s, err := unquote(o[key])
	if err != nil {
		return "", fmt.Errorf("%s is not text", key)
	}
	return s, nil
}

// object returns the object under key.
func (o object) object(key string) (object, error) {
	if !o.has(key) {
		return nil, fmt.Errorf("the answer has no %s", key)
	}
	inner, err := parseObject(o[key])
	if err != nil {
		return nil, fmt.Errorf("in %s: %w", key, err)
	}
	return inner, nil
}

// count returns the whole number, not negative, under key.
func (o object) count(key string) (int64, error) {
	if !o.has(key) {
		return 0, fmt.Errorf("the answer has no %s", key)
	}
	n, err := number(o[key])
	if err != nil || n != math.Trunc(n) || n < 0 || n > maxCount {
		return 0, fmt.Errorf("%s is not a whole number", key)
	}
	return int64(n), nil
}

// life returns the answer's expires_in.
func (o object) life() (time.Duration, error) {
	if !o.has("expires_in") {
		return 0, errors.New("the answer has no expires_in")
	}
	n, err := number(o["expires_in"])
	switch {
	case err != nil:
		return 0, fmt.Errorf("expires_in %w", err)
	case n > MaxLife.Seconds():
		return 0, fmt.Errorf("expires_in is over %d days", MaxLife/(24*time.Hour))
	case n <= 0:
		return 0, errors.New("expires_in is not positive")
	case n != math.Trunc(n):
		return 0, errors.New("expires_in is not a whole number of seconds")
	}
	return time.Duration(n) * time.Second, nil
}

// number reads a JSON number, or a string that holds one. Beyond 2^53 it is
// not exact, and infinite where it overflows.
func number(raw json.RawMessage) (float64, error) {
	text := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		var err error
		if text, err = unquote(raw); err != nil {
			return 0, errors.New("is not a number")
		}
		if text == "" {
			return 0, errors.New("is empty")
		}
	}
	// JSON's own grammar, since ParseFloat takes "0x10", "1_0" and "inf" too.
	if text == "" || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) || !json.Valid([]byte(text)) {
		return 0, errors.New("is not a number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is not a number")
	}
	return n, nil
}
