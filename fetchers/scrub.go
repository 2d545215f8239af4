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
	// minEcho is the length in bytes from which a part of a value that was sent is taken out of a
	// text.
	minEcho = 12

	// maxScrub is how many bytes of a text are looked at: what is shown of it is much shorter.
	maxScrub = 8 << 10

	// maxEscapes is how often a text can have been escaped, one way around another.
	maxEscapes = 8
)

// scrubber takes what a call has sent out of texts that came back: a gateway's
// error page, a broken status line and an errmsg may all repeat the request, or a part of it,
// escaped for a URL, for JSON, for HTML, or for several of them.
type scrubber struct {
	parts  map[string]struct{} // of the values that were sent
	widths []int               // how long these are
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

// text returns t on one line, printable, at most maxScrub bytes of it, and without anything that
// was sent. Characters are replaced before values are looked for, so that nothing unprintable can
// part a value and leave it readable.
func (s scrubber) text(t string) string {
	t = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, cut(t, maxScrub)))
	sent := make([]bool, len(t)+1) // which bytes of t were; the last is none
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

// error returns an error that has of err's text what is fit to be shown, and
// nothing of err itself: whatever it wraps could be printed by someone who
// unwraps it.
func (s scrubber) error(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok { // of a Transport that wraps an http.Client
		err = ue.Err
	}
	return errors.New(cut(s.text(err.Error()), maxErrmsg))
}

// bareText is a text without blanks and some of its escapes, in small letters. The byte at i stands
// for what is in the text between from[i] and to[i].
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

// peel returns t without blanks; then without its escapes; then without those that this brings to
// light, and so on. An escaped text becomes the text itself in one of these steps, or both become
// the same.
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

// unescape returns what the first n bytes of b, an escape or a single byte, stand for.
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

// hexRune returns the character whose number is in the n hexadecimal digits of b from i on.
func hexRune(b []byte, i, n int) (rune, bool) {
	if len(b) < i+n {
		return 0, false
	}
	r, err := strconv.ParseUint(string(b[i:i+n]), 16, 16)
	return rune(r), err == nil
}
