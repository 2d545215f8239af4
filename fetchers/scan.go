package fetchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// The functions here find the values in JSON that may be broken: WeChat puts what users typed into
// an answer without escaping it. JSON that is well-formed is read as encoding/json reads it. In
// JSON that is not, damage is confined to the value that has it; whoever uses a value parses it
// strictly.

// skipBlanks returns b without the space, and the control characters, that it begins with.
func skipBlanks(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	return b
}

// skipMark returns b without the blanks and byte order marks that it begins with.
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

// cutMembers cuts b, the inside of a JSON object and what follows it, into members. What is no
// member is left out; so is a last value that b ends in, unless it is an object, which may have
// members that are complete. whole is false where b ends before the object does, or another one
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

// usualMembers is how many members an answer has at most, nearly always.
const usualMembers = 8

// cutKey cuts the key of a member, and the colon, from b; ok is false, and all of b is left, where
// it does not begin with these.
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

// cutElements cuts b, a JSON array, into its elements. closed is false where b is none, or ends
// before the array does.
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

// cutValue cuts b before the comma that follows the value that it begins with, or before the closer
// of the object or array that the value is in. whole is false where b ends first.
//
// A bracket that closes what was not opened belongs to the value; one that closes what was opened
// also closes all that was opened since. An object in an array ends where the next one begins, and
// one brace too many behind it does not end the object that the array is in.
func cutValue(b []byte, closer byte) (value, after []byte, whole bool) {
	var open []byte       // the closers of what is open
	var braces, lists int // how many of each kind are among them
	count := func(closer byte) *int {
		if closer == '}' {
			return &braces
		}
		return &lists
	}
	last := byte(0) // before i, blanks apart
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

// beginsObject reports whether b begins with a comma and an object, which is no member of another.
func beginsObject(b []byte) bool {
	b, ok := bytes.CutPrefix(skipBlanks(b), []byte(","))
	return ok && bytes.HasPrefix(skipBlanks(b), []byte("{"))
}

// textEnd returns where the text that b begins with, a key or a value, has its closing quote, or
// -1. A quote before something that cannot follow a text is part of it: it was not escaped. A quote
// behind a backslash is the end where the next member would be torn otherwise: the backslash was
// not escaped.
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

// canEnd reports whether a text, a key or a value, can end before b. In JSON that is well-formed,
// every text can.
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

// beginsWord reports whether b begins with a word, of any script, that is neither a value nor a key
// without quotes.
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

// tears reports whether b begins with the end of a value and a quote with which no text can end, so
// that one begins with it; or has nothing but the ends of objects and arrays.
func tears(b []byte) bool {
	rest := bytes.TrimLeft(b, " \t\r\n,]}")
	return len(rest) < len(b) && (len(rest) == 0 || rest[0] == '"' && !canEnd(rest[1:], true))
}

// trimBlanks returns b, capped, without the blanks that it ends with.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b[:len(b):len(b)]
}

// unquote returns the text that raw stands for, or an error where it is no well-formed text.
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
