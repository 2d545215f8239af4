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

// Bounds of an XML body. WeChat's messages have about twenty elements. Events about members and
// customers, which are skipped, have more.
const (
	maxXML      = 1 << 20
	maxElements = 10000
)

// message is the content of the named children of a root element <xml>.
type message map[string]content

// content is the trimmed text of an element, or why it is unusable.
type content struct {
	text  string
	wrong string
}

// text returns the text under name, or "". A fault in it is an ErrMalformed.
func (m message) text(name string) (string, error) {
	c := m[name]
	if c.wrong != "" {
		return "", malformed(name + c.wrong)
	}
	return c.text, nil
}

// readable returns the text under name, or "" if there is no valid one.
func (m message) readable(name string) string { return m[name].text }

// has reports whether there is any content under name.
func (m message) has(name string) bool { return m[name] != content{} }

// id returns the account ID under name.
func (m message) id(name string) (string, error) {
	s, err := m.text(name)
	if err == nil && !validID(s) {
		return "", malformed(name + " is not a valid ID")
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

// readXML reads the named children of the root element <xml>.
//
// It is strict with their content, which is text, CDATA and XML's predefined entities, and
// tolerates everything else: WeChat copies text that users typed into a message. Other elements,
// and everything between elements, may be malformed, in any encoding and without end tags. Errors
// are ErrMalformed and contain nothing of body.
func readXML(body []byte, names ...string) (message, error) {
	if len(body) > maxXML {
		return nil, malformed("it is too large")
	}
	tags, err := cutTags(body)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 || string(tags[0].name(body)) != "xml" {
		return nil, malformed("it must have exactly one root element <xml>")
	}
	last := int(tags[0].end)
	if last < 0 {
		last = len(tags) - 1 // a root without end tag contains everything that follows
	}
	if slices.ContainsFunc(tags[last+1:], func(t tag) bool { return string(t.name(body)) == "xml" }) {
		return nil, malformed("it must have exactly one root element <xml>")
	}
	m := message{}
	for i := 1; i <= last; i++ {
		t := tags[i]
		if name := string(t.name(body)); slices.Contains(names, name) {
			m.add(name, textOf(body, tags, i))
		}
		i = max(i, int(t.end)) // what follows an element without end tag is its sibling
	}
	return m, nil
}

// add adds an element. An empty one beside another is ignored.
func (m message) add(name string, c content) {
	switch had := m[name]; {
	case had == content{}:
		m[name] = c
	case had != c && c != content{}:
		m[name] = content{wrong: " occurs twice with different values"}
	}
}

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }

// textOf returns the content of the element whose start tag is at i.
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

// xmlText decodes and trims raw, the inside of an element without children.
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

// entityRune returns the character of an XML entity.
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

// isXML reports whether XML allows r.
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != '\ufffe' && r != '\uffff'
}
