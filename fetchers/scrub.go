package fetchers

import (
	"errors"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tokend/fetchers/secret"
)

const (
	// minEcho is the length in bytes from which a part of a sent value is removed from a text.
	minEcho = 12

	// maxScrub is how many bytes of a text are examined. Much less is shown.
	maxScrub = 8 << 10

	// maxEscapes is how many nested escapes are undone.
	maxEscapes = 8
)

// scrubber removes values that a call has sent from texts that came back. A gateway's error page, a
// broken status line and an errmsg may repeat the request or a part of it. The text may be escaped
// for a URL, for JSON, for HTML, or for several of them.
type scrubber struct {
	parts  map[string]struct{} // of the sent values
	widths []int               // their lengths
}

func (q *call) scrubber() scrubber {
	s := scrubber{parts: map[string]struct{}{}}
	for _, t := range append([]secret.Text{q.own}, q.with...) {
		for value := range peel(string(t)) {
			n := min(len(value.text), minEcho)
			if n == 0 {
				continue
			}
			for i := range len(value.text) - n + 1 {
				s.parts[string(value.text[i:i+n])] = struct{}{}
			}
			if !slices.Contains(s.widths, n) {
				s.widths = append(s.widths, n)
			}
		}
	}
	return s
}

// text returns t as one printable line of at most maxScrub bytes, without anything that was sent.
// Characters are replaced before values are searched, so that an unprintable character cannot split
// a value and leave it readable.
func (s scrubber) text(t string) string {
	t = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, cut(t, maxScrub)))
	sent := make([]bool, len(t)+1) // whether a byte of t was sent; the last is false
	for bare := range peel(t) {
		for _, n := range s.widths {
			for i := range max(len(bare.text)-n+1, 0) {
				if _, ok := s.parts[string(bare.text[i:i+n])]; ok {
					for k := bare.from[i]; k < bare.to[i+n-1]; k++ {
						sent[k] = true
					}
				}
			}
		}
	}
	var clean strings.Builder
	for i := range len(t) {
		switch {
		case !sent[i]:
			clean.WriteByte(t[i])
		case !sent[i+1]:
			clean.WriteString(secret.Redacted)
		}
	}
	return clean.String()
}

// error returns an error with the cleaned text of err. It does not wrap err, because whatever err
// wraps could be printed after unwrapping.
func (s scrubber) error(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok { // from a Transport that wraps an http.Client
		err = ue.Err
	}
	return errors.New(cut(s.text(err.Error()), maxErrmsg))
}

// bareText is a text in lower case without blanks and with some escapes undone. Byte i corresponds
// to the text between from[i] and to[i].
type bareText struct {
	text     []byte
	from, to []int
}

func (b *bareText) add(from, to int, text ...byte) {
	for _, c := range text {
		switch {
		case c <= ' ':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		b.text, b.from, b.to = append(b.text, c), append(b.from, from), append(b.to, to)
	}
}

// peel yields t without blanks, then with its escapes undone, then with the escapes undone that
// this revealed, and so on. In one of these steps an escaped text becomes the text itself, or both
// become the same.
func peel(t string) iter.Seq[bareText] {
	return func(yield func(bareText) bool) {
		var b bareText
		for i := range len(t) {
			b.add(i, i+1, t[i])
		}
		for range maxEscapes + 1 {
			if !yield(b) {
				return
			}
			var next bareText
			for i := 0; i < len(b.text); {
				n, text := unescape(b.text[i:])
				next.add(b.from[i], b.to[i+n-1], text...)
				i += n
			}
			if len(next.text) == len(b.text) {
				return
			}
			b = next
		}
	}
}

// unescape returns the meaning of the first n bytes of b, an escape or a single byte.
func unescape(b []byte) (n int, text []byte) {
	switch b[0] {
	case '%':
		if r, ok := hexRune(b, 1, 2); ok {
			return 3, []byte{byte(r)}
		}
	case '\\':
		switch {
		case len(b) > 1 && strings.IndexByte(`"'\/`, b[1]) >= 0:
			return 2, b[1:2]
		case len(b) > 1 && strings.IndexByte("nrt", b[1]) >= 0:
			return 2, []byte(" ")
		case len(b) > 1 && b[1] == 'x':
			if r, ok := hexRune(b, 2, 2); ok {
				return 4, []byte{byte(r)}
			}
		case len(b) > 1 && b[1] == 'u':
			if r, ok := hexRune(b, 2, 4); ok {
				return 6, utf8.AppendRune(nil, r)
			}
		}
	case '&':
		const longest = len("&#x10ffff;")
		name, _, ended := strings.Cut(string(b[1:min(len(b), longest)]), ";")
		if ended && name == "nbsp" {
			return len("&nbsp;"), []byte(" ")
		}
		if r, ok := entityRune(name); ended && ok {
			return len(name) + 2, utf8.AppendRune(nil, r)
		}
	}
	return 1, b[:1]
}

// hexRune returns the character with the number in the n hexadecimal digits of b from i.
func hexRune(b []byte, i, n int) (rune, bool) {
	if len(b) < i+n {
		return 0, false
	}
	r, err := strconv.ParseUint(string(b[i:i+n]), 16, 16)
	return rune(r), err == nil
}
