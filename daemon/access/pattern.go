package access

import "strings"

// pattern is a pattern of whole names, in which * stands for any characters, none and '/' among
// them, and every other byte for itself. It is taken apart once, since it is held against the name
// of every request: most patterns have one star, and a name is then told by its two ends.
type pattern struct {
	text string
	head string // what stands before the first star; all of it where there is none
	tail string // what stands behind the last star
	rest string // what stands between these two, from star to star; "" for no star
}

func newPattern(text string) pattern {
	p := pattern{text: text, head: text}
	if first := strings.IndexByte(text, '*'); first >= 0 {
		last := strings.LastIndexByte(text, '*')
		p.head, p.rest, p.tail = text[:first], text[first:last+1], text[last+1:]
	}
	return p
}

// matches reports whether name matches p. It does not allocate. Its time is at most the product of
// the lengths, and for one star at most their sum.
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
	return p.rest == "*" || match(p.rest, name[len(p.head):len(p.head)+inner])
}

// match reports whether name matches text, a pattern. A failed match only ever goes back to the
// last star, since an earlier one could not do better.
func match[T string | []byte](text string, name T) bool {
	p, n := 0, 0
	star, resume := -1, 0 // the last star, and where its text ends so far
	for n < len(name) {
		switch {
		case p < len(text) && text[p] == '*':
			star, resume = p, n
			p++
		case p < len(text) && text[p] == name[n]:
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
