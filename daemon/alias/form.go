package alias

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxForm is the longest form in bytes.
const maxForm = 1024

// DefaultForm is the value alone.
const DefaultForm = "{value}"

// Form is how a value is shown: a text with {value}, {json}, {bytes}, {ttl} and {expires_at}. {{
// and }} are braces.
type Form struct {
	pieces []formPiece
	plain  bool // the value alone
}

type formPiece struct {
	text string // the literal
	word formWord
}

type formWord uint8

const (
	literal formWord = iota
	value
	asJSON
	byteCount
	ttl
	expiresAt
)

var formWords = map[string]formWord{"value": value, "json": asJSON, "bytes": byteCount, "ttl": ttl, "expires_at": expiresAt}

// parseForm parses a form. mistake is "" if it is valid.
func parseForm(text string) (f Form, mistake string) {
	if len(text) > maxForm {
		return f, fmt.Sprintf("has %d bytes, the limit is %d", len(text), maxForm)
	}
	var plain strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c != '{' && c != '}':
			plain.WriteByte(c)
			i++
			continue
		case i+1 < len(text) && text[i+1] == c:
			plain.WriteByte(c)
			i += 2
			continue
		case c == '}':
			return f, "has a } without a {: write }} for a brace"
		}
		word, rest, closed := strings.Cut(text[i+1:], "}")
		if !closed || strings.Contains(word, "{") {
			return f, "has a { without a }: write {{ for a brace"
		}
		w, known := formWords[word]
		if !known {
			return f, fmt.Sprintf("has an unknown placeholder {%s}: value, json, bytes, ttl and expires_at are known", word)
		}
		if plain.Len() > 0 {
			f.pieces = append(f.pieces, formPiece{text: plain.String()})
			plain.Reset()
		}
		f.pieces = append(f.pieces, formPiece{word: w})
		i = len(text) - len(rest)
	}
	if plain.Len() > 0 {
		f.pieces = append(f.pieces, formPiece{text: plain.String()})
	}
	f.plain = len(f.pieces) == 1 && f.pieces[0].word == value
	return f, ""
}

// Plain reports whether f is the value alone.
func (f *Form) Plain() bool { return f == nil || f.plain }

// Append appends v in the form, for a value that is valid for left. v is printable ASCII. Append
// allocates only to grow dst.
func (f *Form) Append(dst []byte, v string, left time.Duration) []byte {
	for i := range f.pieces {
		switch p := &f.pieces[i]; p.word {
		case literal:
			dst = append(dst, p.text...)
		case value:
			dst = append(dst, v...)
		case asJSON:
			dst = appendJSON(dst, v)
		case byteCount:
			dst = strconv.AppendInt(dst, int64(len(v)), 10)
		case ttl:
			dst = strconv.AppendInt(dst, max(1, int64(left/time.Second)), 10)
		case expiresAt:
			dst = strconv.AppendInt(dst, time.Now().Add(left).Unix(), 10)
		}
	}
	return dst
}

func appendJSON(dst []byte, v string) []byte {
	dst = append(dst, '"')
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, v[i])
	}
	return append(dst, '"')
}

// Value returns the value in text, which another program has written in the form. ok is false if
// text is not of the form, or the form has no value.
func (f *Form) Value(text string) (v string, ok bool) {
	if f.Plain() {
		return text, true
	}
	for i, p := range f.pieces {
		switch p.word {
		case literal:
			if text, ok = strings.CutPrefix(text, p.text); !ok {
				return "", false
			}
		case byteCount, ttl, expiresAt:
			rest := strings.TrimLeft(text, "0123456789")
			if rest == text {
				return "", false
			}
			text = rest
		case asJSON:
			first := json.NewDecoder(strings.NewReader(text))
			if err := first.Decode(&v); err != nil {
				return "", false
			}
			text = text[first.InputOffset():]
		case value:
			end := len(text)
			if i+1 < len(f.pieces) && f.pieces[i+1].word == literal {
				if end = strings.Index(text, f.pieces[i+1].text); end < 0 {
					return "", false
				}
			}
			v, text = text[:end], text[end:]
		}
	}
	return v, v != "" && text == ""
}
