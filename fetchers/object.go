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

// maxCount is far beyond any number of customers, and beyond any time in seconds
// that a calendar of four digits has (the end of the year 9999).
const maxCount = 253402300799

// object is a JSON object: its members as they came, by their exact keys. encoding/json would let
// "Access_Token" stand for "access_token".
//
// Of a key that comes more than once the last value counts, unless that is null. Two
// different credentials, or ids, under one key are an error: nobody knows which of them WeChat
// meant.
type object struct {
	members []member

	// whole is false where the object was cut short, or another one follows it. Members behind its
	// end count too: a text that was not escaped may have ended it.
	whole bool
}

type member struct {
	key   string
	value json.RawMessage
}

// errBroken is the error for an answer of which something is missing.
var errBroken = errors.New("the answer is not JSON, or cut short")

// parseObject reads the members of one JSON object, and an object that is not whole as far as it
// can be read.
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

// all returns the values under key that are not null.
func (o object) all(key string) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for _, m := range o.members {
			if m.key == key && string(m.value) != "null" && !yield(m.value) {
				return
			}
		}
	}
}

// last returns the value that counts under key; nil where there is none.
func (o object) last(key string) (value json.RawMessage) {
	for v := range o.all(key) {
		value = v
	}
	return value
}

// has reports whether key is there and not null.
func (o object) has(key string) bool { return o.last(key) != nil }

// errcode returns the answer's errcode, or 0 where it has none: not every
// endpoint says 0 on success.
func (o object) errcode() (int, error) {
	if !o.has("errcode") {
		return 0, nil
	}
	n, err := number(o.last("errcode"))
	// Seven digits are the most that the vendor's tables have.
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1e9 {
		return 0, errors.New("errcode is not a whole number")
	}
	return int(n), nil
}

// errmsg returns the answer's errmsg, as well as it can be read, or "" where it is no text.
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

// lacks reports whether there is no text under key, or an empty one.
func (o object) lacks(key string) bool {
	s, err := o.text(key)
	return !o.has(key) || err == nil && s == ""
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

// text returns the one text under key; an empty one beside another does not count.
func (o object) text(key string) (string, error) {
	if !o.has(key) {
		return "", fmt.Errorf("the answer has no %s", key)
	}
	var text string
	for raw := range o.all(key) {
		s, err := unquote(raw)
		if err != nil {
			return "", fmt.Errorf("%s is not text", key)
		}
		if text != "" && s != "" && s != text {
			return "", fmt.Errorf("%s comes twice, with different values", key)
		}
		text = cmp.Or(s, text)
	}
	return text, nil
}

// object returns the object under key; of several, all of their members.
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

// count returns the whole number, not negative, under key.
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
