package fetchers

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

// Bounds of an XML body. WeChat's have some twenty elements; events about members and
// customers, which are skipped, have more.
const (
	maxXML      = 1 << 20
	maxElements = 10000
)

// message is what the named children of a root element <xml> hold.
type message map[string]content

// content is the text of an element, trimmed, or why it cannot be used.
type content struct {
	text  string
	wrong string
}

// text returns the text under name, "" where there is none. What is wrong with it is an
// ErrMalformed.
func (m message) text(name string) (string, error) {
	c := m[name]
	if c.wrong != "" {
		return "", malformed(name + c.wrong)
	}
	return c.text, nil
}

// readable returns the text under name, "" where there is none that can be read.
func (m message) readable(name string) string { return m[name].text }

// has reports whether there is anything under name.
func (m message) has(name string) bool { return m[name] != content{} }

// id returns the id of an account under name.
func (m message) id(name string) (string, error) {
	s, err := m.text(name)
	if err == nil && !validID(s) {
		return "", malformed(name + " is no account's id")
	}
	return s, err
}

// value returns the credential under name.
func (m message) value(name string) (secret.Text, error) {
	s, err := m.text(name)
	if err != nil {
		return "", err
	}
	if wrong := wrongValue(s); wrong != "" {
		return "", malformed(name + wrong)
	}
	return secret.Text(s), nil
}

// readXML reads those children of the root element <xml> that are named.
//
// It is strict with their contents, which are text, CDATA and XML's own entities, and tolerates
// everything else: WeChat copies what users typed into a message. Elements that are not named, and
// whatever is between elements, may be malformed, in any encoding, and without their ends. Errors
// are ErrMalformed and hold nothing of body.
func readXML(body []byte, names ...string) (message, error) {
	if len(body) > maxXML {
		return nil, malformed("it is too large")
	}
	tags, err := cutTags(body)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 || string(tags[0].name(body)) != "xml" {
		return nil, malformed("its root is not one <xml>")
	}
	last := int(tags[0].end)
	if last < 0 {
		last = len(tags) - 1 // a root without its end has all that follows
	}
	if slices.ContainsFunc(tags[last+1:], func(t tag) bool { return string(t.name(body)) == "xml" }) {
		return nil, malformed("its root is not one <xml>")
	}
	m := message{}
	for i := 1; i <= last; i++ {
		t := tags[i]
		if name := string(t.name(body)); slices.Contains(names, name) {
			m.add(name, textOf(body, tags, i))
		}
		i = max(i, int(t.end)) // what follows one without its end is beside it
	}
	return m, nil
}

// add adds an element. One without text does not count beside another.
func (m message) add(name string, c content) {
	switch had := m[name]; {
	case had == content{}:
		m[name] = c
	case had != c && c != content{}:
		m[name] = content{wrong: " comes twice, with different values"}
	}
}

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }

// textOf returns what is in the element that the tag at i begins.
func textOf(body []byte, tags []tag, i int) content {
	t := tags[i]
	switch {
	case int(t.end) == i: // <a/>
		return content{}
	case t.end == noEnd:
		return content{wrong: " has no end tag"}
	case int(t.end) > i+1:
		return content{wrong: " contains elements"}
	}
	text, ok := xmlText(body[t.to:tags[t.end].from])
	if !ok {
		return content{wrong: " contains invalid characters"}
	}
	return content{text: text}
}

// xmlText returns the text that raw, the inside of an element without children, stands for,
// trimmed.
func xmlText(raw []byte) (string, bool) {
	if bytes.IndexByte(raw, '\r') >= 0 {
		raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
		raw = bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
	}
	var text []byte
	for len(raw) > 0 {
		if after, ok := bytes.CutPrefix(raw, cdata); ok {
			inner, after, ok := bytes.Cut(after, cdataEnd)
			if !ok {
				return "", false
			}
			text, raw = append(text, inner...), after
			continue
		}
		n := bytes.IndexAny(raw, "<&")
		switch {
		case n < 0:
			n = len(raw)
		case n == 0 && raw[0] == '&':
			entity, after, ok := bytes.Cut(raw[1:], []byte(";"))
			r, known := entityRune(string(entity))
			if !ok || !known {
				return "", false
			}
			text, raw = utf8.AppendRune(text, r), after
			continue
		case n == 0:
			return "", false // a comment, an instruction or a bare <
		}
		if bytes.Contains(raw[:n], cdataEnd) {
			return "", false
		}
		text, raw = append(text, raw[:n]...), raw[n:]
	}
	if !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return !isXML(r) }) {
		return "", false
	}
	return string(bytes.TrimSpace(text)), true
}

// entityRune returns the character that an entity of XML's own stands for.
func entityRune(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, base := strings.TrimPrefix(name, "#"), 10
	if rest, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || digits == name || n > utf8.MaxRune {
		return 0, false
	}
	return rune(n), true
}

// isXML reports whether r is a character that XML allows.
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != '\ufffe' && r != '\uffff'
}
