package fetchers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"tokend/fetchers/secret"
)

// maxCount exceeds any number of customers. It is the end of the year 9999 in Unix seconds.
const maxCount = 253402300799

// object is a JSON object: its members in order, by exact key. encoding/json would accept
// "Access_Token" for "access_token".
//
// If a key occurs more than once, the last value counts unless it is null. Two different
// credentials or IDs under one key are an error, because it is unknown which one is right.
type object struct {
	members []member

	// whole is false if the object was truncated or another object follows it. Members after its
	// end count too: an unescaped text may have caused that end.
	whole bool
}

type member struct {
	key   string
	value json.RawMessage
}

// errBroken is the error for a truncated answer.
var errBroken = errors.New("the answer is not JSON or is truncated")

// parseObject parses the members of one JSON object. It parses a truncated object as far as
// possible.
func parseObject(body []byte) (object, error) {
	body = skipMark(body)
	switch {
	case len(body) == 0:
		return object{}, errors.New("the answer is empty")
	case body[0] == '<':
		return object{}, errors.New("the answer is a web page, not JSON")
	case body[0] != '{':
		return object{}, errors.New("the answer is not a JSON object")
	}
	members, whole := cutMembers(body[1:])
	return object{members, whole}, nil
}

// all returns the non-null values under key.
func (o object) all(key string) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for _, m := range o.members {
			if m.key == key && string(m.value) != "null" && !yield(m.value) {
				return
			}
		}
	}
}

// last returns the value of key that counts, or nil.
func (o object) last(key string) (value json.RawMessage) {
	for v := range o.all(key) {
		value = v
	}
	return value
}

// has reports whether key has a value other than null.
func (o object) has(key string) bool { return o.last(key) != nil }

// errcode returns the answer's errcode, or 0 if there is none: not every endpoint returns 0 on
// success.
func (o object) errcode() (int, error) {
	if !o.has("errcode") {
		return 0, nil
	}
	n, err := number(o.last("errcode"))
	// The vendor's tables have at most seven digits.
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1e9 {
		return 0, errors.New("errcode is not a whole number")
	}
	return int(n), nil
}

// errmsg returns the answer's errmsg as far as it is readable, or "" if it is not a string.
func (o object) errmsg() string {
	raw := o.last("errmsg")
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	raw = bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, raw)
	if s, err := unquote(raw); err == nil {
		return s
	}
	return strings.Trim(string(raw), `"`)
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

// valueIfAny is value, but returns "" if there is no value.
func (o object) valueIfAny(key string) (secret.Text, error) {
	if !o.has(key) {
		return "", nil
	}
	if s, err := o.text(key); err != nil || s == "" {
		return "", err
	}
	return o.value(key)
}

// lacks reports whether there is no string under key, or an empty one.
func (o object) lacks(key string) bool {
	s, err := o.text(key)
	return !o.has(key) || err == nil && s == ""
}

// id returns the account ID under key.
func (o object) id(key string) (string, error) {
	s, err := o.text(key)
	if err != nil {
		return "", err
	}
	if !validID(s) {
		return "", fmt.Errorf("%s is not a valid ID", key)
	}
	return s, nil
}

// text returns the string under key. An empty string beside another one is ignored.
func (o object) text(key string) (string, error) {
	if !o.has(key) {
		return "", fmt.Errorf("the answer has no %s", key)
	}
	var text string
	for raw := range o.all(key) {
		s, err := unquote(raw)
		if err != nil {
			return "", fmt.Errorf("%s is not a string", key)
		}
		if text != "" && s != "" && s != text {
			return "", fmt.Errorf("%s occurs twice with different values", key)
		}
		text = cmp.Or(s, text)
	}
	return text, nil
}

// object returns the object under key. If there are several, it has the members of all.
func (o object) object(key string) (object, error) {
	if !o.has(key) {
		return object{}, fmt.Errorf("the answer has no %s", key)
	}
	all := object{whole: true}
	for raw := range o.all(key) {
		inner, err := parseObject(raw)
		if err != nil {
			return object{}, fmt.Errorf("in %s: %w", key, err)
		}
		all.members = append(all.members, inner.members...)
		all.whole = all.whole && inner.whole
	}
	return all, nil
}

// count returns the non-negative whole number under key.
func (o object) count(key string) (int64, error) {
	if !o.has(key) {
		return 0, fmt.Errorf("the answer has no %s", key)
	}
	n, err := number(o.last(key))
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
	n, err := number(o.last("expires_in"))
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

// number parses a JSON number, or a string with one. Beyond 2^53 it is not exact, and on overflow
// infinite.
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
	// JSON's grammar, because ParseFloat also accepts "0x10", "1_0" and "inf".
	if text == "" || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) || !json.Valid([]byte(text)) {
		return 0, errors.New("is not a number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is not a number")
	}
	return n, nil
}
