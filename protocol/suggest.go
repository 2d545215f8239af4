package protocol

// unknownVerb quotes word only if it is a misspelled verb. The sender may log the error, and any
// other word may be a secret: for example, the second half of a value with a newline in it.
func unknownVerb(word []byte) *Error {
	if len(word) == 0 {
		return badRequest("the line begins with a space, not with a verb")
	}
	for _, v := range Verbs() {
		if slip(v.String(), word) {
			return badRequest("unknown verb %q: did you mean %s?", word, v)
		}
	}
	return badRequest("the line does not begin with a verb")
}

// slip reports whether word is verb with one letter wrong, missing or added, or with two adjacent
// letters swapped. slip is false if word is verb itself or contains other characters than letters.
// A quoted word therefore contains no part of a secret.
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
	n := 0 // length of the common prefix
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
