package alias

import (
	"slices"
	"strings"
)

// Alias is one alias as it is configured. Check says whether it is valid.
type Alias struct {
	Key  string // a pattern
	Name string // of a credential, with the placeholders of Key
	Form string // of the value; see Form
	Line int    // in the configuration
}

// Table is compiled aliases. It is immutable. A nil Table has none.
type Table struct {
	aliases []compiled // in the order of the configuration

	// heads are the literals that keys begin with, sorted, each once.
	heads []head
}

// compiled is an alias in the form that is used.
type compiled struct {
	key  pattern
	name []piece
	form Form
}

// head is what the keys of some aliases begin with.
type head struct {
	text    string
	tails   map[string][]int // the indices of the aliases, ascending, by what their keys end with
	lengths []int            // of the tails, each once
	outer   int              // the index of the longest other head that text begins with; -1 for none
}

// add adds an alias whose key ends with tail.
func (h *head) add(tail string, index int) {
	h.tails[tail] = append(h.tails[tail], index)
	if !slices.Contains(h.lengths, len(tail)) {
		h.lengths = append(h.lengths, len(tail))
	}
}

// first returns the index of the first alias of h for key that is before limit, and sets matched to
// what its placeholders match. Otherwise it returns limit.
func (h *head) first(t *Table, key []byte, limit int, matched *bounds) int {
	var b bounds
	for _, n := range h.lengths {
		if n > len(key) {
			continue
		}
		for _, k := range h.tails[string(key[len(key)-n:])] {
			if k >= limit {
				break
			}
			if t.aliases[k].key.match(key, &b) {
				limit, *matched = k, b
				break
			}
		}
	}
	return limit
}

// Compile compiles aliases, which must be valid.
func Compile(all []Alias) *Table {
	t := &Table{}
	byHead := map[string]*head{}
	for i, a := range all {
		key, _ := parseKey(a.Key)
		name, _ := parsePieces(a.Name, key.words())
		form, _ := parseForm(a.Form)
		c := compiled{key: key, name: name, form: form}
		t.aliases = append(t.aliases, c)
		h := byHead[key.head]
		if h == nil {
			h = &head{text: key.head, tails: map[string][]int{}}
			byHead[key.head] = h
		}
		h.add(key.tail, i)
	}
	for _, h := range byHead {
		t.heads = append(t.heads, *h)
	}
	slices.SortFunc(t.heads, func(a, b head) int { return strings.Compare(a.text, b.text) })
	for i := range t.heads {
		t.heads[i].outer = t.prefixOf(t.heads[i].text, i-1)
	}
	return t
}

// prefixOf returns the index of the longest of the heads up to last that text begins with, -1 for
// none. text sorts behind them. Whatever sorts between a prefix of text and text begins with that
// prefix too. So the prefixes of text are the last head, or what that begins with.
func (t *Table) prefixOf(text string, last int) int {
	for i := last; i >= 0; i = t.heads[i].outer {
		if strings.HasPrefix(text, t.heads[i].text) {
			return i
		}
	}
	return -1
}

// Find returns the name that the first alias for key stands for, appended to dst, and the form of
// its value. The name may be malformed: there is then no such credential. ok is false if there is
// no alias for key. Find allocates only to grow dst.
func (t *Table) Find(dst, key []byte) (name []byte, form *Form, ok bool) {
	if t == nil || len(t.heads) == 0 {
		return dst, nil, false
	}
	var matched bounds
	first := len(t.aliases)
	// See prefixOf: these are the heads that key begins with.
	for i := t.before(key); i >= 0; i = t.heads[i].outer {
		if h := &t.heads[i]; len(h.text) <= len(key) && string(key[:len(h.text)]) == h.text {
			first = h.first(t, key, first, &matched)
		}
	}
	if first == len(t.aliases) {
		return dst, nil, false
	}
	a := &t.aliases[first]
	for _, p := range a.name {
		if p.word == none {
			dst = append(dst, p.text...)
		} else {
			dst = append(dst, key[matched[p.word].start:matched[p.word].end]...)
		}
	}
	return dst, &a.form, true
}

// before returns the index of the last head that is not greater than key, -1 for none.
func (t *Table) before(key []byte) int {
	low, high := 0, len(t.heads)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if t.heads[middle].text <= string(key) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1
}
