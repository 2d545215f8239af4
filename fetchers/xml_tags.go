package fetchers

import "bytes"

// maxSearch bounds how many start tags are looked at for all end tags. Where all is in order it is
// one for each.
const maxSearch = 10 * maxElements

// maxLooks bounds how many < outside of CDATA and comments are looked at. Elements have two each.
const maxLooks = 4 * maxElements

// tag is a tag of an XML body. Strangers can send many, so it is small.
type tag struct {
	from, to         int32 // where it is in the body
	nameFrom, nameTo int32

	// end is, of an element, the index of its end tag; its own for an element without one, <a/>;
	// noEnd for one that lacks it; and isEnd for an end tag.
	end int32
}

const (
	noEnd = -1
	isEnd = -2
)

func (t tag) name(body []byte) []byte { return body[t.nameFrom:t.nameTo] }

var cdata, cdataEnd, comment, instruction = []byte("<![CDATA["), []byte("]]>"), []byte("<!--"), []byte("<?")

// cutTags returns the tags of an XML body, in order. What is no tag is text: a bare <, a comment or
// CDATA without its end. An end tag without a start is left out; one that ends an element also ends
// those inside it that have no end. The last one that can ends the root: others are text.
func cutTags(body []byte) ([]tag, error) {
	var tags []tag
	var open []int32                    // the elements without an end so far
	var brackets, dashes, marks lastEnd // of CDATA, comments and instructions
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

// lastEnd remembers that there is no more of an end, so that it is looked for once.
type lastEnd struct{ gone bool }

// past returns the place behind the next mark in body from at on, or at where there is none.
func (e *lastEnd) past(body []byte, at int, mark []byte) int {
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

// cutTag returns the tag that begins with the < at at. Values of attributes may have a > in them,
// but no <.
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

// beginsName reports whether the name of an element can begin with c.
func beginsName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}
