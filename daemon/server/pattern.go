package server

// match reports whether name matches pattern, in which * stands for any
// characters, none and '/' among them, and every other byte for itself. It does not
// allocate. Its time is at most the product of the lengths: a failed match
// only ever goes back to the last star, since an earlier one could not do better.
func match[T string | []byte](pattern string, name T) bool {
	p, n := 0, 0
	star, resume := -1, 0 // the last star, and where its text ends so far
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
