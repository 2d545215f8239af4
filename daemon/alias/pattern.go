package alias

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxKey     = 255 // bytes
	maxSegment = 64  // characters that a placeholder matches at most
	maxWords   = 32  // placeholders of a key
)

// none is the word of a piece that is a literal.
const none = -1

// piece is a literal or a placeholder.
type piece struct {
	text string // the literal, or the placeholder's word
	word int    // the placeholder's index; none for a literal
}

// pattern is the key of an alias.
type pattern struct {
	pieces []piece
	star   bool   // a * at the end: anything may follow
	head   string // the literal at the beginning
	tail   string // the literal at the end, unless anything may follow
}

// bounds is what the placeholders of a pattern have matched, as indices of the key.
type bounds [maxWords]struct{ start, end uint8 }

// words returns the placeholders of p, by index.
func (p *pattern) words() []string {
	var words []string
	for _, piece := range p.pieces {
		if piece.word != none {
			words = append(words, piece.text)
		}
	}
	return words
}

// match reports whether key matches p. It sets b to what the placeholders match.
func (p *pattern) match(key []byte, b *bounds) bool {
	at := 0
	for i, piece := range p.pieces {
		if piece.word == none {
			if len(key)-at < len(piece.text) || string(key[at:at+len(piece.text)]) != piece.text {
				return false
			}
			at += len(piece.text)
			continue
		}
		end := at
		follows := i+1 < len(p.pieces) // a literal
		for end < len(key) && end-at < maxSegment && nameByte[key[end]] {
			if follows && end > at && key[end] == p.pieces[i+1].text[0] {
				break
			}
			end++
		}
		if end == at || end > maxKey {
			return false
		}
		b[piece.word].start, b[piece.word].end = uint8(at), uint8(end)
		at = end
	}
	return p.star || at == len(key)
}

// parseKey parses the key of an alias. mistake is "" if it is valid.
func parseKey(key string) (p pattern, mistake string) {
	switch {
	case key == "":
		return p, "is empty"
	case len(key) > maxKey:
		return p, fmt.Sprintf("has %d bytes, the limit is %d", len(key), maxKey)
	case strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		return p, "must be printable ASCII"
	}
	text, star := strings.CutSuffix(key, "*")
	if strings.Contains(text, "*") {
		return p, "has a * that is not at its end"
	}
	pieces, mistake := parsePieces(text, nil)
	if mistake != "" {
		return p, mistake
	}
	if n := len(pieces); star && n > 0 && pieces[n-1].word != none {
		return p, fmt.Sprintf("needs a character between {%s} and *", pieces[n-1].text)
	}
	p = pattern{pieces: pieces, star: star}
	if n := len(pieces); n > 0 {
		if pieces[0].word == none {
			p.head = pieces[0].text
		}
		if pieces[n-1].word == none && !star {
			p.tail = pieces[n-1].text
		}
	}
	return p, ""
}

// parsePieces splits text into literals and placeholders. If words is not nil, they are the only
// placeholders, and each may occur any number of times. Otherwise each may occur once, and none may
// follow another directly.
func parsePieces(text string, words []string) (pieces []piece, mistake string) {
	key := words == nil
	for text != "" {
		open := strings.IndexAny(text, "{}")
		if open < 0 {
			return append(pieces, piece{text, none}), ""
		}
		if open > 0 {
			pieces = append(pieces, piece{text[:open], none})
		}
		if text[open] == '}' {
			return nil, "has a } without a {"
		}
		word, rest, closed := strings.Cut(text[open+1:], "}")
		if !closed || strings.Contains(word, "{") {
			return nil, "has a { without a }"
		}
		index := slices.Index(words, word)
		if key {
			n := len(pieces)
			switch {
			case !isWord(word):
				return nil, fmt.Sprintf("has an unknown placeholder {%s}: a placeholder is a word of a-z and _", word)
			case slices.ContainsFunc(pieces, func(p piece) bool { return p.word != none && p.text == word }):
				return nil, fmt.Sprintf("has the placeholder {%s} twice", word)
			case n > 0 && pieces[n-1].word != none:
				return nil, fmt.Sprintf("needs a character between {%s} and {%s}", pieces[n-1].text, word)
			}
			index = count(pieces)
			if index == maxWords {
				return nil, fmt.Sprintf("has more than %d placeholders", maxWords)
			}
		} else if index < 0 {
			return nil, fmt.Sprintf("has an unknown placeholder {%s}: key has no such placeholder", word)
		}
		pieces = append(pieces, piece{word, index})
		text = rest
	}
	return pieces, ""
}

// count returns how many of pieces are placeholders.
func count(pieces []piece) (n int) {
	for _, p := range pieces {
		if p.word != none {
			n++
		}
	}
	return n
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && c != '_' })
}

// nameByte has the bytes that a segment of a name may contain.
var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '@' || c == '-'
	}
	return t
}()
