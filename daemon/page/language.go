package page

import (
	"strconv"
	"strings"
)

// wordsFor returns the texts in the language named lang, or else in the language that accept, an
// Accept-Language header, prefers. The default is English.
func wordsFor(lang, accept string) *words {
	switch lang {
	case chinese.Code:
		return &chinese
	case english.Code:
		return &english
	}
	if weight(accept, chinese.Code) > weight(accept, english.Code) {
		return &chinese
	}
	return &english
}

// weight returns the weight, 0 to 1, of the language code in accept. Regions are ignored.
func weight(accept, code string) (w float64) {
	if len(accept) > 1024 {
		return 0 // no browser sends this
	}
	for part := range strings.SplitSeq(accept, ",") {
		tag, quality, weighted := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), "-")
		if !strings.EqualFold(tag, code) {
			continue
		}
		q := 1.0
		if weighted {
			value, _ := strings.CutPrefix(strings.TrimSpace(quality), "q=")
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || n < 0 || n > 1 {
				continue
			}
			q = n
		}
		w = max(w, q)
	}
	return w
}
