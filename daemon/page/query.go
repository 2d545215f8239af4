package page

import (
	"net/url"
	"slices"
	"strings"

	"tokend/daemon/credential"
)

// Ask is a request for a page. It is untrusted.
type Ask struct {
	Values url.Values // of the query
	Accept string     // the Accept-Language header
}

const (
	// maxRows is how many credentials are shown at a time.
	maxRows = 200

	// fewRows is how many credentials are shown without a request for a family.
	fewRows = 60

	// maxText bounds the text of a filter, in bytes. A name has at most 255.
	maxText = 255
)

// badState is the filter for the credentials that need attention.
const badState = "attention"

// query is the part of an Ask that selects credentials.
type query struct {
	text   string // part of the name; "" for any
	state  string // the word of a state, badState, or "" for any
	family string // "" for any
	after  string // the last name of the page before
}

// queryOf returns the query of ask. Unknown states and families match nothing.
func queryOf(values url.Values) query {
	q := query{text: strings.TrimSpace(values.Get("q")), state: values.Get("state"), family: values.Get("family"), after: values.Get("after")}
	if len(q.text) > maxText {
		q.text = q.text[:maxText]
	}
	return q
}

// filters reports whether q selects credentials by text or state.
func (q query) filters() bool { return q.text != "" || q.state != "" }

// values returns the query for a link.
func (q query) values(lang string) string {
	v := url.Values{}
	for key, value := range map[string]string{"q": q.text, "state": q.state, "family": q.family, "after": q.after, "lang": lang} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return "?" + v.Encode()
}

// with returns q with another family and without a place in the list.
func (q query) with(family string) query {
	q.family, q.after = family, ""
	return q
}

// matches reports whether q selects r.
func (q query) matches(r *credential.Summary) bool {
	switch {
	case q.state == badState && !troubled(r):
		return false
	case q.state != "" && q.state != badState && q.state != r.State.String():
		return false
	}
	return contains(r.Name, q.text)
}

// contains reports whether text is in name, whatever the case. It does not allocate for names in
// ASCII, as all are.
func contains(name, text string) bool {
	if text == "" {
		return true
	}
	for i := 0; i+len(text) <= len(name); i++ {
		if strings.EqualFold(name[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

// selection is the credentials that a query selects.
type selection struct {
	counts []int    // by family of the snapshot: how many match
	open   []bool   // by family: whether its credentials are shown
	names  []string // those that are shown, sorted by name, maxRows at most
	total  int      // how many match in the open families
	next   string   // the last of names, if more follow
	first  bool     // names begins with the first match
}

// select returns what q selects.
func (s *snapshot) selects(q query, step func()) selection {
	sel := selection{counts: make([]int, len(s.families)), open: make([]bool, len(s.families)), first: true}
	for i, f := range s.families {
		sel.open[i] = q.family == f.word || q.family == "" && (q.filters() || len(s.rows) <= fewRows)
		for j := f.from; j < f.to; j++ {
			step()
			r := &s.rows[j]
			if !q.matches(r) {
				continue
			}
			sel.counts[i]++
			switch {
			case !sel.open[i]:
			case q.after != "" && r.Name <= q.after:
				sel.total++
				sel.first = false
			default:
				sel.total++
				if len(sel.names) < maxRows {
					sel.names = append(sel.names, r.Name)
				} else {
					sel.next = sel.names[maxRows-1]
				}
			}
		}
	}
	return sel
}

// states returns the words of the states for a filter.
func states() []string {
	words := []string{badState}
	for i := range credential.StateCount {
		words = append(words, credential.State(i).String())
	}
	slices.Sort(words[1:])
	return words
}
