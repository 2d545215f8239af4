package fetchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// These functions find the values in JSON that may be broken: WeChat inserts text that users typed
// into an answer without escaping it. Well-formed JSON is parsed as encoding/json does. In
// malformed JSON, damage is confined to the value that contains it. Callers parse the values
// strictly.

// skipBlanks returns b without leading spaces and control characters.
func skipBlanks(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	return b
}

// skipMark returns b without leading blanks and byte order marks.
func skipMark(b []byte) []byte {
	for {
		b = skipBlanks(b)
		rest, marked := bytes.CutPrefix(b, []byte("\ufeff"))
		if !marked {
			return b
		}
		b = rest
	}
}

// cutMembers splits b, the inside of a JSON object and what follows it, into members. Everything
// else is omitted, and so is a truncated last value. A truncated object is kept, because it may
// have complete members. whole is false if b ends before the object does, or if another object
// follows.
func cutMembers(b []byte) (members []member, whole bool) {
	members = make([]member, 0, usualMembers)
	for closed := false; ; {
		b = skipBlanks(b)
		if len(b) == 0 {
			return members, whole
		}
		switch b[0] {
		case '}':
			b = b[1:]
			if !closed {
				closed, whole = true, !bytes.HasPrefix(skipMark(b), []byte("{"))
			}
			continue
		case ',':
			b = b[1:]
			continue
		}
		key, inner, ok := cutKey(b)
		var value []byte
		var ended bool
		value, b, ended = cutValue(inner, '}')
		if ok && len(value) > 0 && (ended || value[0] == '{') {
			members = append(members, member{key, value})
		}
	}
}

// usualMembers is the number of members that an answer rarely exceeds.
const usualMembers = 8

// cutKey splits the key of a member and the colon off b. If b does not start with these, ok is
// false and all of b is left.
func cutKey(b []byte) (key string, after []byte, ok bool) {
	if b[0] != '"' {
		return "", b, false
	}
	end := textEnd(b, true)
	if end < 0 {
		return "", b, false
	}
	after = skipBlanks(b[end+1:])
	if len(after) == 0 || after[0] != ':' {
		return "", b, false
	}
	key, err := unquote(b[:end+1])
	return key, skipBlanks(after[1:]), err == nil
}

// cutElements splits b, a JSON array, into its elements. closed is false if b is not an array or is
// truncated.
func cutElements(b []byte) (elements []json.RawMessage, closed bool) {
	if len(b) == 0 || b[0] != '[' {
		return nil, false
	}
	for b = b[1:]; ; {
		b = skipBlanks(b)
		if len(b) == 0 {
			return elements, false
		}
		switch b[0] {
		case ']':
			return elements, true
		case ',':
			b = b[1:]
			continue
		}
		var value []byte
		value, b, _ = cutValue(b, ']')
		elements = append(elements, value)
	}
}

// cutValue splits b before the comma that follows its first value, or before the closer of the
// enclosing object or array. whole is false if b ends first.
//
// A bracket that closes nothing belongs to the value. A bracket that closes something also closes
// everything opened since. An object in an array ends where the next object begins. A surplus brace
// after it does not end the object that contains the array.
func cutValue(b []byte, closer byte) (value, after []byte, whole bool) {
	var open []byte       // the closers of everything open
	var braces, lists int // number of each kind in open
	count := func(closer byte) *int {
		if closer == '}' {
			return &braces
		}
		return &lists
	}
	last := byte(0) // the last byte before i, except blanks
	for i := 0; i < len(b); i++ {
		before := last
		if b[i] > ' ' {
			last = b[i]
		}
		switch c := b[i]; c {
		case '"':
			n := textEnd(b[i:], len(open) > 0 && open[len(open)-1] == '}' && (before == '{' || before == ','))
			if n < 0 {
				return b, nil, false
			}
			i += n
		case '{', '[':
			c += 2 // the closer of either, in ASCII
			open = append(open, c)
			*count(c)++
		case '}', ']':
			if *count(c) == 0 {
				if c == closer && (lists == 0 || !beginsObject(b[i+1:])) {
					return trimBlanks(b[:i]), b[i:], true
				}
				continue
			}
			for closed := byte(0); closed != c; {
				closed = open[len(open)-1]
				open = open[:len(open)-1]
				*count(closed)--
			}
		case ',':
			if len(open) == 0 || closer == ']' && len(open) == braces && braces == 1 && beginsObject(b[i:]) {
				return trimBlanks(b[:i]), b[i:], true
			}
		}
	}
	return b, nil, false
}

// beginsObject reports whether b starts with a comma and an object, which cannot be a member of
// another object.
func beginsObject(b []byte) bool {
	b, ok := bytes.CutPrefix(skipBlanks(b), []byte(","))
	return ok && bytes.HasPrefix(skipBlanks(b), []byte("{"))
}

// textEnd returns the index of the closing quote of the string, a key or a value, at the start of
// b, or -1. A quote before something that cannot follow a string is part of the string: it was not
// escaped. A quote after a backslash ends the string if the next member would be torn otherwise:
// the backslash was not escaped.
func textEnd(b []byte, key bool) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
			if i < len(b) && b[i] == '"' && tears(b[i+1:]) {
				return i
			}
		case '"':
			if canEnd(b[i+1:], key) {
				return i
			}
		}
	}
	return -1
}

// canEnd reports whether a string, a key or a value, can end before b. In well-formed JSON, every
// string can.
func canEnd(b []byte, key bool) bool {
	b = skipBlanks(b)
	if len(b) == 0 {
		return true
	}
	switch b[0] {
	case ':':
		return key
	case ',':
		return key || !beginsWord(skipBlanks(b[1:]))
	case '}', ']':
		return key || !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n]}"), []byte(`"`))
	}
	return false
}

// beginsWord reports whether b starts with a word, of any script, that is neither a value nor an
// unquoted key.
func beginsWord(b []byte) bool {
	n := 0
	for n < len(b) && (b[n]|0x20 >= 'a' && b[n]|0x20 <= 'z' || b[n] >= utf8.RuneSelf || b[n] == '_') {
		n++
	}
	after := skipBlanks(b[n:])
	switch {
	case n == 0 || len(after) == 0 || after[0] == ':':
		return false
	case string(b[:n]) == "true" || string(b[:n]) == "false" || string(b[:n]) == "null":
		return false
	}
	return true
}

// tears reports whether b starts with the end of a value and a quote that cannot end a string, so
// that it must begin one. It also reports true if only the ends of objects and arrays are left.
func tears(b []byte) bool {
	rest := bytes.TrimLeft(b, " \t\r\n,]}")
	return len(rest) < len(b) && (len(rest) == 0 || rest[0] == '"' && !canEnd(rest[1:], true))
}

// trimBlanks returns b, capped, without trailing blanks.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b[:len(b):len(b)]
}

// unquote decodes the JSON string raw, or returns an error if it is malformed.
func unquote(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", errNoText
	}
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			var s string
			err := json.Unmarshal(raw, &s)
			return s, err
		}
	}
	return string(inner), nil
}

var errNoText = errors.New("not text")
