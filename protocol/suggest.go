package protocol

// unknownVerb repeats nothing of word. A line that went astray (the second half of
// a value with a newline in it) must not come back in an error that its sender logs; and where
// word is a slip of the pen, the verb that was meant says more than the slip.
func unknownVerb(word []byte) *Error {
	if len(word) == 0 {
		return badRequest("a request begins with a verb, not with a space")
	}
	for _, v := range Verbs() {
		if slip(v.String(), word) {
			return badRequest("unknown verb %q: did you mean %s?", word, v)
		}
	}
	return badRequest("the line does not begin with a verb")
}

// slip reports whether word is verb with one letter wrong, missing or too many, or with
// two neighbours swapped. It is false where word is verb, or holds anything but
// letters: what is quoted is a verb but for one letter, and no part of a secret.
func slip(verb string, word []byte) bool {
	var upper [maxVerb + 1]byte
	if len(word) < 2 || len(word) > len(upper) {
		return false
	}
	for i, c := range word {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
		upper[i] = c &^ 0x20
	}
	got := string(upper[:len(word)])
	n := 0 // letters at the beginning that agree
	for n < min(len(got), len(verb)) && got[n] == verb[n] {
		n++
	}
	switch {
	case len(got) == len(verb)+1:
		return got[n+1:] == verb[n:]
	case len(got) == len(verb)-1:
		return got[n:] == verb[n+1:]
	case len(got) != len(verb) || n == len(verb):
		return false
	case got[n+1:] == verb[n+1:]:
		return true
	}
	return n+2 <= len(verb) && got[n] == verb[n+1] && got[n+1] == verb[n] && got[n+2:] == verb[n+2:]
}
