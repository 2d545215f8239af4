package main

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWidth is the longest line of a comment or of Markdown prose, in characters. A tab is four.
const maxWidth = 100

// rules is the content of words.txt, and what check has found.
type rules struct {
	bans       []*ban
	any        *regexp.Regexp // of all bans
	allowed    []*exception
	later      map[string]bool // entry: whether a file is in it
	complaints []string
}

// ban is a word that no text uses.
type ban struct {
	pattern *regexp.Regexp
	instead string
}

// exception is a place where banned words are right.
type exception struct {
	path, text string
	used       bool
}

func parseRules(text string) (*rules, error) {
	r := &rules{later: map[string]bool{}}
	var all []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		switch {
		case f[0] == "ban" && len(f) == 3:
			pattern, err := regexp.Compile(`(?i)\b(?:` + f[1] + `)\b`)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			r.bans = append(r.bans, &ban{pattern, f[2]})
			all = append(all, f[1])
		case f[0] == "allow" && len(f) == 4:
			r.allowed = append(r.allowed, &exception{path: f[1], text: f[2]})
		case f[0] == "later" && len(f) == 2:
			if _, err := path.Match(f[1], ""); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			r.later[f[1]] = false
		default:
			return nil, fmt.Errorf("line %d: want ban, allow or later and its fields: %q", n, line)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no word is banned")
	}
	var err error
	r.any, err = regexp.Compile(`(?i)\b(?:` + strings.Join(all, "|") + `)\b`)
	return r, err
}

// check checks one file.
func (r *rules) check(name string, content []byte) {
	isLater := false
	for entry := range r.later {
		if isIn(entry, name) {
			r.later[entry], isLater = true, true
		}
	}
	if isLater {
		return
	}
	for _, p := range passages(name, content) {
		r.words(name, p)
		for i, line := range p.lines {
			if width := widthOf(line); p.wrapped && width > maxWidth {
				r.complain(name, p.first+i, "%d characters: wrap at %d", width, maxWidth)
			}
		}
	}
}

// isIn reports whether entry is the file name, a directory that contains it, or a pattern for it.
func isIn(entry, name string) bool {
	match, _ := path.Match(entry, name) // parseRules has checked the pattern
	return match || strings.HasPrefix(name, entry+"/")
}

// words reports the banned words of p.
func (r *rules) words(name string, p passage) {
	text := p.text()
	if !r.any.MatchString(text) {
		return
	}
	for _, b := range r.bans {
		for _, at := range b.pattern.FindAllStringIndex(text, -1) {
			if !r.isAllowed(name, text, at) {
				r.complain(name, p.lineOf(at[0]), "%q: %s", text[at[0]:at[1]], b.instead)
			}
		}
	}
}

// isAllowed reports whether the words at are part of an exception.
func (r *rules) isAllowed(name, text string, at []int) bool {
	for _, e := range r.allowed {
		if name != e.path {
			continue
		}
		for from := 0; ; {
			i := strings.Index(text[from:], e.text)
			if i < 0 {
				break
			}
			from += i
			if from <= at[0] && at[1] <= from+len(e.text) {
				e.used = true
				return true
			}
			from += len(e.text)
		}
	}
	return false
}

func (r *rules) complain(name string, line int, format string, args ...any) {
	r.complaints = append(r.complaints, fmt.Sprintf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
}

// unused returns a complaint for each exception and path of words.txt that matched nothing.
func (r *rules) unused() (complaints []string) {
	for _, e := range r.allowed {
		if !e.used {
			complaints = append(complaints, fmt.Sprintf("%s: %s does not need this: %q", list, e.path, e.text))
		}
	}
	for _, entry := range slices.Sorted(maps.Keys(r.later)) {
		if !r.later[entry] {
			complaints = append(complaints, fmt.Sprintf("%s: no file is in %s", list, entry))
		}
	}
	return complaints
}

// widthOf returns the characters of line, or 0 where a line cannot be wrapped: it holds a link or a
// single word, or is Chinese, in which a line break would show as a space.
func widthOf(line string) int {
	_, words, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ") // the first is the comment's mark
	if strings.Contains(line, "://") || strings.Contains(line, "](") || !strings.Contains(words, " ") ||
		strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return 0
	}
	return utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
}
