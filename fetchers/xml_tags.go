package fetchers

import "bytes"

// maxSearch bounds the start tags examined for all end tags together. In a well-formed body it is
// one each.
const maxSearch = 10 * maxElements

// maxLooks bounds the < examined outside of CDATA and comments. Elements have two each.
const maxLooks = 4 * maxElements

// tag is a tag of an XML body. It is small because strangers can send many.
type tag struct {
	from, to         int32 // position in the body
	nameFrom, nameTo int32

	// end is the index of an element's end tag: its own index for <a/>, noEnd if the end tag is
	// missing, and isEnd for an end tag.
	end int32
}

const (
	noEnd = -1
	isEnd = -2
)

func (t tag) name(body []byte) []byte { return body[t.nameFrom:t.nameTo] }

var cdata, cdataEnd, comment, instruction = []byte("<![CDATA["), []byte("]]>"), []byte("<!--"), []byte("<?")

// cutTags returns the tags of an XML body, in order. Everything else is text: a bare <, and a
// comment or CDATA without its end. An end tag without a start tag is omitted. An end tag of
// an element also ends the open elements inside it. The last possible end tag ends the root; others
// are text.
func cutTags(body []byte) ([]tag, error) {
	var tags []tag
	var open []int32                    // open elements
	var brackets, dashes, marks lastEnd // for CDATA, comments and instructions
	elements, searched, looked := 0, 0, 0
	for at := 0; ; {
		n := bytes.IndexByte(body[at:], '<')
		if n < 0 {
			return tags, nil
		}
		at += n
		rest := body[at:]
		if looked++; looked > maxLooks {
			return nil, malformed("it has too many elements")
		}
		switch {
		case bytes.HasPrefix(rest, cdata):
			at = brackets.after(body, at+len(cdata), cdataEnd)
			continue
		case bytes.HasPrefix(rest, comment):
			at = dashes.after(body, at+len(comment), []byte("-->"))
			continue
		case bytes.HasPrefix(rest, instruction):
			at = marks.after(body, at+len(instruction), []byte("?>"))
			continue
		case len(open) < 2 && bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
			return nil, malformed("it has a DOCTYPE")
		}
		t, ok := cutTag(body, at)
		if !ok {
			at++
			continue
		}
		at = int(t.to)
		switch {
		case t.end == isEnd:
			begun := len(open) - 1
			for ; begun >= 0; begun-- {
				searched++
				if bytes.Equal(tags[open[begun]].name(body), t.name(body)) {
					break
				}
			}
			if searched > maxSearch {
				return nil, malformed("it has too many elements")
			}
			if begun < 0 {
				continue
			}
			tags[open[begun]].end = int32(len(tags))
			open = open[:max(begun, 1)]
		case elements == maxElements:
			return nil, malformed("it has too many elements")
		default:
			elements++
			if body[t.to-2] == '/' {
				t.end = int32(len(tags))
			} else {
				open = append(open, int32(len(tags)))
			}
		}
		tags = append(tags, t)
	}
}

// lastEnd remembers that an end mark does not occur again, so that it is searched for only once.
type lastEnd struct{ gone bool }

// after returns the position after the next mark in body from at, or at if there is none.
func (e *lastEnd) after(body []byte, at int, mark []byte) int {
	if e.gone {
		return at
	}
	n := bytes.Index(body[at:], mark)
	if n < 0 {
		e.gone = true
		return at
	}
	return at + n + len(mark)
}

// cutTag returns the tag that starts with the < at at. Attribute values may contain > but not <.
func cutTag(body []byte, at int) (t tag, ok bool) {
	b := body[at:]
	if n := bytes.IndexByte(b[1:], '<'); n >= 0 {
		b = b[:n+1]
	}
	name, end := bytes.CutPrefix(b[1:], []byte("/"))
	if len(name) == 0 || !beginsName(name[0]) {
		return t, false
	}
	n := bytes.IndexAny(name, " \t\r\n/>")
	if n < 0 {
		return t, false
	}
	first := len(b) - len(name)
	t = tag{from: int32(at), nameFrom: int32(at + first), nameTo: int32(at + first + n), end: noEnd}
	if end {
		t.end = isEnd
	}
	for i := first + n; i < len(b); i++ {
		switch c := b[i]; c {
		case '"', '\'':
			if n := bytes.IndexByte(b[i+1:], c); n >= 0 {
				i += n + 1
			}
		case '>':
			t.to = int32(at + i + 1)
			return t, true
		}
	}
	return t, false
}

// beginsName reports whether an element's name can start with c.
func beginsName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}
