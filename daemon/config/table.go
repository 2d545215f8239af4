package config

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// reader collects problems and warnings while the tables of a file are read.
type reader struct {
	file     string
	root     *node
	env      Env
	pace     *pace
	problems []Problem
	warnings []Problem
	inline   bool // the file itself contains a secret
}

func (r *reader) reportf(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Message: printable(fmt.Sprintf(format, args...))})
}

func (r *reader) warnf(line int, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{File: r.file, Line: line, Message: printable(fmt.Sprintf(format, args...))})
}

// printable replaces line breaks and control characters in a message. Messages contain unquoted
// paths and names from the file.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s)
}

// table reads one table of the file. Each accessor marks its key as known, and done reports the
// unknown keys. An accessor that reports a problem returns its default.
type table struct {
	*reader
	*node
	title string // "[upstream] ", "[[work]] "; empty at the top level
	known []string
}

// problemf reports a problem with a key. The message starts with the key.
func (t *table) problemf(key, format string, args ...any) {
	t.reportf(t.lineOf(key), "%s%s %s", t.title, key, fmt.Sprintf(format, args...))
}

// lineOf returns the line of a key, and the line of the table if it does not have the key.
func (t *table) lineOf(key string) int {
	if n := t.value(key); n != nil {
		return n.line
	}
	return t.at()
}

// at returns the line of the table; 0 if there is none.
func (t *table) at() int {
	if t.node == nil {
		return 0
	}
	return t.line
}

// lookup returns the value of an optional key; nil if it is not set.
func (t *table) lookup(key string) *node {
	t.known = append(t.known, key)
	return t.value(key)
}

// require returns the value of a required key; nil if it is not set.
func (t *table) require(key string) *node {
	v := t.lookup(key)
	if v == nil {
		t.problemf(key, "is missing")
	}
	return v
}

// moved reports a key that now belongs to the table other.
func (t *table) moved(key, other string) {
	if t.lookup(key) != nil {
		t.problemf(key, "has moved to [%s], which serves the status page and metrics at its own listen address", other)
	}
}

// is reports whether v, the value of a key or one of its elements, is of a kind, or reports a
// problem.
func (t *table) is(kind unstable.Kind, key string, v *node, example string) bool {
	if v.kind != kind {
		t.problemf(key, "must be %s, not %s", example, typeName(v))
		return false
	}
	return true
}

// text returns an optional string.
func (t *table) text(key, otherwise string) string {
	if v := t.lookup(key); v != nil && t.is(unstable.String, key, v, "a string") {
		return string(v.text)
	}
	return otherwise
}

// word returns an optional string that must be one of words.
func (t *table) word(key, otherwise string, words ...string) string {
	s := t.text(key, otherwise)
	if !slices.Contains(words, s) {
		t.problemf(key, "must be one of %s, not %q%s", strings.Join(words, ", "), s, didYouMean(s, words))
		return otherwise
	}
	return s
}

// id returns a required string that is a valid segment of a name.
func (t *table) id(key string) string {
	v := t.require(key)
	if v == nil || !t.is(unstable.String, key, v, "a string in quotation marks") {
		return ""
	}
	s := string(v.text)
	if !validSegment(s) {
		t.problemf(key, "%q must be 1 to 64 characters of A-Z a-z 0-9 . _ @ -", clip(s))
		return ""
	}
	return s
}

// flag returns an optional boolean.
func (t *table) flag(key string, otherwise bool) bool {
	if v := t.lookup(key); v != nil && t.is(unstable.Bool, key, v, "true or false") {
		return string(v.text) == "true"
	}
	return otherwise
}

// count returns an optional integer from least to most.
func (t *table) count(key string, otherwise, least, most int) int {
	v := t.lookup(key)
	if v == nil || !t.is(unstable.Integer, key, v, "a whole number") {
		return otherwise
	}
	n := v.integer()
	if n < int64(least) || n > int64(most) {
		t.problemf(key, "must be at least %d and at most %d, not %d", least, most, n)
		return otherwise
	}
	return int(n)
}

// duration returns an optional positive duration up to most.
func (t *table) duration(key string, otherwise, most time.Duration) time.Duration {
	d, text, ok := t.span(key)
	if ok && (d <= 0 || d > most) {
		t.problemf(key, "must be more than 0s and at most %s, not %s", most, text)
		ok = false
	}
	if !ok {
		return otherwise
	}
	return d
}

// timeout returns an optional duration from least to most. Zero is allowed, and the default.
func (t *table) timeout(key string, least, most time.Duration) time.Duration {
	d, text, ok := t.span(key)
	if ok && d != 0 && (d < least || d > most) {
		t.problemf(key, "must be 0s for never, or at least %s and at most %s, not %s", least, most, text)
		return 0
	}
	return d
}

// span returns the duration of a key, and its text.
func (t *table) span(key string) (d time.Duration, text string, ok bool) {
	v := t.lookup(key)
	if v == nil || !t.is(unstable.String, key, v, `a duration such as "5s"`) {
		return 0, "", false
	}
	text = string(v.text)
	d, err := time.ParseDuration(text)
	if err != nil {
		t.problemf(key, "must be a duration such as \"5s\" or \"1m30s\", not %q", clip(text))
		return 0, "", false
	}
	return d, text, true
}

// texts returns an array of strings and the line of each element. The array must not be empty.
func (t *table) texts(key string, required bool) (texts []string, lines []int) {
	v := t.lookup(key)
	if v == nil {
		if required {
			t.problemf(key, "is missing")
		}
		return nil, nil
	}
	if !t.is(unstable.Array, key, v, "an array of strings") {
		return nil, nil
	}
	if v.len() == 0 {
		t.problemf(key, "is empty")
	}
	for e := range v.values() {
		if t.is(unstable.String, key, e, "an array of strings") {
			texts = append(texts, string(e.text))
			lines = append(lines, e.line)
		}
	}
	return texts, lines
}

// table returns the optional table of a key, or nil.
func (t *table) table(key string) *table {
	v := t.lookup(key)
	if v == nil || !t.is(unstable.Table, key, v, "a table: ["+key+"]") {
		return nil
	}
	return &table{reader: t.reader, node: v, title: "[" + key + "] "}
}

// tables yields the tables of an array of tables. Each is valid until the next. n is their number
// at most. prefix is the path of the parent table in the file's notation: "open_work.".
func (t *table) tables(prefix, key string) (n int, all iter.Seq[*table]) {
	v := t.lookup(key)
	title := "[[" + prefix + key + "]]"
	if v == nil || !t.is(unstable.Array, key, v, "tables: "+title) {
		return 0, func(func(*table) bool) {}
	}
	for e := range v.values() {
		t.is(unstable.Table, key, e, "tables: "+title)
	}
	return v.len(), func(yield func(*table) bool) {
		each := &table{reader: t.reader, title: title + " "}
		for e := range v.values() {
			if e.kind != unstable.Table {
				continue
			}
			each.node, each.known = e, each.known[:0]
			if !yield(each) {
				return
			}
			t.pace.step()
		}
	}
}

// Keys of the top level, and of its tables that occur once.
var (
	topLevel = []string{"socket", "socket_mode", "state_dir", "encryption_key", "log_level", "log_format"}
	sections = []string{"http", "limits", "upstream"}
)

// done reports the keys that no accessor has read.
func (t *table) done() {
	var unknown []string
	for v := range t.values() {
		if !slices.ContainsFunc(t.known, func(key string) bool { return key == string(v.key) }) {
			unknown = append(unknown, string(v.key))
		}
	}
	if unknown == nil {
		return
	}
	slices.Sort(unknown)
	unset := slices.DeleteFunc(slices.Clone(t.known), func(key string) bool { return t.value(key) != nil })
	for _, key := range unknown {
		advice := cmp.Or(didYouMean(key, unset), t.elsewhere(key), didYouMean(key, t.known))
		t.reportf(t.lineOf(key), "%sunknown key %q%s", t.title, clip(key), advice)
	}
}

// elsewhere says where a key belongs that t does not have. TOML's keys belong to the last header
// above them, so a key of the top level is often written below one.
func (t *table) elsewhere(key string) string {
	switch {
	case t.title != "" && slices.Contains(topLevel, key):
		return ": it belongs at the top of the file, above the first [...]"
	case t.title != "" && slices.Contains(sections, key):
		return ": it is a section of its own, [" + key + "]"
	}
	return ""
}

// typeName returns TOML's name for the type of v.
func typeName(v *node) string {
	switch v.kind {
	case unstable.String:
		return "a string"
	case unstable.Integer:
		return "an integer"
	case unstable.Float:
		return "a float"
	case unstable.Bool:
		return "a boolean"
	case unstable.Array:
		return "an array"
	case unstable.Table:
		return "a table"
	default:
		return "a date or time"
	}
}

// validSegment reports whether s is a valid segment of a credential's name. See the grammar in
// docs/protocol.md.
func validSegment(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '@' || c == '-'
}

// clip shortens a quotation in a message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
