package fetchers

import "bytes"

// tag is a tag of an XML body. Where an index of another tag is -1 there is none.
type tag struct {
	name     []byte
	from, to int // where it is in the body

	ends  bool // it is an end tag
	empty bool // it is an element without an end tag, <a/>
	end   int  // of an element, the index of its end tag, or its own
}

var cdata, cdataEnd, comment, instruction = []byte("<![CDATA["), []byte("]]>"), []byte("<!--"), []byte("<?")

// cutTags returns the tags of an XML body, in order. What is no tag is text: a bare <, a comment
// or CDATA without its end. An end tag without a start is left out; one that ends an
// element also ends those inside it that have no end.
func cutTags(body []byte) ([]tag, error) {
	var tags []tag
	var open []int                  // the start tags without an end so far
	unended := map[string]int{}     // how many of each name are among them
	var brackets, dashes, marks end // of CDATA, comments and instructions
	elements := 0
	for at := 0; ; {
		n := bytes.IndexByte(body[at:], '<')
		if n < 0 {
			return tags, nil
		}
		at += n
		rest := body[at:]
		switch {
		case bytes.HasPrefix(rest, cdata):
			at = brackets.past(body, at+len(cdata), cdataEnd)
			continue
		case bytes.HasPrefix(rest, comment):
			at = dashes.past(body, at+len(comment), []byte("-->"))
			continue
		case bytes.HasPrefix(rest, instruction):
			at = marks.past(body, at+len(instruction), []byte("?>"))
			continue
		case len(open) < 2 && bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
			return nil, malformed("it has a DOCTYPE")
		}
		t, ok := cutTag(rest)
		if !ok {
			at++
			continue
		}
		t.from, t.to = at, at+t.to
		at = t.to
		switch {
		case !t.ends && t.empty:
			t.end = len(tags)
		case !t.ends:
			open = append(open, len(tags))
			unended[string(t.name)]++
		case unended[string(t.name)] == 0:
			continue
		default:
			for last := -1; last < 0 || !bytes.Equal(tags[last].name, t.name); {
				last = open[len(open)-1]
				open = open[:len(open)-1]
				unended[string(tags[last].name)]--
				if bytes.Equal(tags[last].name, t.name) {
					tags[last].end = len(tags)
				}
			}
		}
		if !t.ends {
			if elements++; elements > maxElements {
				return nil, malformed("it has too many elements")
			}
		}
		tags = append(tags, t)
	}
}

// end remembers that there is no more of an end, so that it is looked for once.
type end struct{ none bool }

// past returns the place behind the next mark in body from at on, or at where there is none.
func (e *end) past(body []byte, at int, mark []byte) int {
	if e.none {
		return at
	}
	n := bytes.Index(body[at:], mark)
	if n < 0 {
		e.none = true
		return at
	}
	return at + n + len(mark)
}

// cutTag returns the tag that b, which begins with <, begins with; to is where it ends. Values of
// attributes may have a > in them, but no <.
func cutTag(b []byte) (t tag, ok bool) {
	if n := bytes.IndexByte(b[1:], '<'); n >= 0 {
		b = b[:n+1]
	}
	rest := b[1:]
	rest, t.ends = bytes.CutPrefix(rest, []byte("/"))
	n := bytes.IndexAny(rest, " \t\r\n/>")
	if n < 1 || !beginsName(rest[0]) {
		return t, false
	}
	t.name, t.end = rest[:n], -1
	for i := len(b) - len(rest) + n; i < len(b); i++ {
		switch c := b[i]; c {
		case '"', '\'':
			if n := bytes.IndexByte(b[i+1:], c); n >= 0 {
				i += n + 1
			}
		case '>':
			t.empty, t.to = b[i-1] == '/', i+1
			return t, true
		}
	}
	return t, false
}

// beginsName reports whether the name of an element can begin with c.
func beginsName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}
