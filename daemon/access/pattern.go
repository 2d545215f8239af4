package access

import "strings"

// pattern matches whole names. A * matches any characters, including none and '/'. Every other byte
// matches itself. A pattern is split in advance, because it is matched for every request. Most
// patterns have one star, and comparing both ends is enough.
type pattern struct {
	text string
	head string // before the first star; all of text without a star
	tail string // after the last star
	rest string // from the first star to the last, inclusive; "" without a star
}

func newPattern(text string) pattern {
	p := pattern{text: text, head: text}
	if first := strings.IndexByte(text, '*'); first >= 0 {
		last := strings.LastIndexByte(text, '*')
		p.head, p.rest, p.tail = text[:first], text[first:last+1], text[last+1:]
	}
	return p
}

// matches reports whether name matches p. It does not allocate. The time is at most proportional to
// the product of the lengths, and with one star to their sum.
func matches[T string | []byte](p *pattern, name T) bool {
	inner := len(name) - len(p.head) - len(p.tail)
	switch {
	case inner < 0 || string(name[:len(p.head)]) != p.head:
		return false
	case p.rest == "":
		return inner == 0
	case string(name[len(p.head)+inner:]) != p.tail:
		return false
	}
	return p.rest == "*" || match(p.rest, 0, name[len(p.head):len(p.head)+inner])
}

// Glob reports whether name matches a pattern of Redis: * matches any characters, and ? one.
func Glob(text, name string) bool { return match(text, '?', name) }

// match reports whether name matches the pattern text, in which one matches any character; 0 for
// none. After a mismatch it backtracks to the last
// star only: an earlier star could not succeed where the last one fails.
func match[T string | []byte](text string, one byte, name T) bool {
	p, n := 0, 0
	star, resume := -1, 0 // the last star, and the end of the text that it matches so far
	for n < len(name) {
		switch {
		case p < len(text) && text[p] == '*':
			star, resume = p, n
			p++
		case p < len(text) && (text[p] == name[n] || one != 0 && text[p] == one):
			p++
			n++
		case star >= 0:
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	for p < len(text) && text[p] == '*' {
		p++
	}
	return p == len(text)
}
