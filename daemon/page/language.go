package page

import (
	"strconv"
	"strings"
)

// wordsFor returns the texts for who has asked for lang by name, or else prefers what accept, an
// Accept-Language, says. Without a preference between the two it is English.
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

// weight returns how much accept wants the language called code, 0 to 1. A region is not told from
// another.
func weight(accept, code string) (w float64) {
	if len(accept) > 1024 {
		return 0 // no browser's
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
