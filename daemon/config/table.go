package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// reader collects problems and warnings while the tables of a file are read.
type reader struct {
	file     string
	doc      document
	env      Env
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
	path   string
	title  string // "[upstream] ", "[[work]] "; empty at the top level
	line   int
	values map[string]any
	known  []string
}

// problemf reports a problem with a key. The message starts with the key.
func (t *table) problemf(key, format string, args ...any) {
	t.reportf(t.lineOf(key), "%s%s %s", t.title, key, fmt.Sprintf(format, args...))
}

func (t *table) lineOf(key string) int {
	if n := t.doc.lines[join(t.path, key)]; n > 0 {
		return n
	}
	return t.line
}

// lookup returns the value of an optional key.
func (t *table) lookup(key string) (any, bool) {
	t.known = append(t.known, key)
	v, ok := t.values[key]
	return v, ok
}

// require returns the value of a required key.
func (t *table) require(key string) (any, bool) {
	v, ok := t.lookup(key)
	if !ok {
		t.problemf(key, "is missing")
	}
	return v, ok
}

// moved reports a key that now belongs to the table other.
func (t *table) moved(key, other string) {
	if _, ok := t.lookup(key); ok {
		t.problemf(key, "has moved to [%s], which serves the status page and metrics at its own listen address", other)
	}
}

// as returns v as a T, or reports a problem.
func as[T any](t *table, key string, v any, example string) (T, bool) {
	x, ok := v.(T)
	if !ok {
		t.problemf(key, "must be %s, not %s", example, typeName(v))
	}
	return x, ok
}

// text returns an optional string.
func (t *table) text(key, otherwise string) string {
	if v, ok := t.lookup(key); ok {
		if s, ok := as[string](t, key, v, "a string"); ok {
			return s
		}
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
	v, ok := t.require(key)
	if !ok {
		return ""
	}
	s, ok := as[string](t, key, v, "a string in quotation marks")
	if ok && !validSegment(s) {
		t.problemf(key, "%q must be 1 to 64 characters of A-Z a-z 0-9 . _ @ -", clip(s))
		return ""
	}
	return s
}

// flag returns an optional boolean.
func (t *table) flag(key string, otherwise bool) bool {
	if v, ok := t.lookup(key); ok {
		if b, ok := as[bool](t, key, v, "true or false"); ok {
			return b
		}
	}
	return otherwise
}

// count returns an optional integer from least to most.
func (t *table) count(key string, otherwise, least, most int) int {
	v, ok := t.lookup(key)
	if !ok {
		return otherwise
	}
	n, ok := as[int64](t, key, v, "a whole number")
	if !ok {
		return otherwise
	}
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
	v, ok := t.lookup(key)
	if !ok {
		return 0, "", false
	}
	if text, ok = as[string](t, key, v, `a duration such as "5s"`); !ok {
		return 0, "", false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.problemf(key, "must be a duration such as \"5s\" or \"1m30s\", not %q", clip(text))
		return 0, "", false
	}
	return d, text, true
}

// texts returns an array of strings and the line of each element. The array must not be empty.
func (t *table) texts(key string, required bool) (texts []string, lines []int) {
	v, ok := t.lookup(key)
	if !ok {
		if required {
			t.problemf(key, "is missing")
		}
		return nil, nil
	}
	list, ok := as[[]any](t, key, v, "an array of strings")
	if !ok {
		return nil, nil
	}
	if len(list) == 0 {
		t.problemf(key, "is empty")
	}
	for i, e := range list {
		if s, ok := as[string](t, key, e, "an array of strings"); ok {
			texts = append(texts, s)
			lines = append(lines, t.doc.lines[element(join(t.path, key), i)])
		}
	}
	return texts, lines
}

// table returns the optional table of a key, or nil.
func (t *table) table(key string) *table {
	v, ok := t.lookup(key)
	if !ok {
		return nil
	}
	values, ok := as[map[string]any](t, key, v, "a table: ["+key+"]")
	if !ok {
		return nil
	}
	return &table{reader: t.reader, path: join(t.path, key), title: "[" + key + "] ", line: t.lineOf(key), values: values}
}

// tables returns the tables of an array of tables. prefix is the path of the parent table in the
// file's notation: "open_work.".
func (t *table) tables(prefix, key string) []*table {
	v, ok := t.lookup(key)
	if !ok {
		return nil
	}
	title := "[[" + prefix + key + "]]"
	list, ok := as[[]any](t, key, v, "tables: "+title)
	if !ok {
		return nil
	}
	ts := make([]*table, 0, len(list))
	for i, e := range list {
		values, ok := as[map[string]any](t, key, e, "tables: "+title)
		if !ok {
			continue
		}
		path := element(join(t.path, key), i)
		ts = append(ts, &table{reader: t.reader, path: path, title: title + " ", line: t.doc.lines[path], values: values})
	}
	return ts
}

// Keys of the top level, and of its tables that occur once.
var (
	topLevel = []string{"socket", "socket_mode", "state_dir", "encryption_key", "log_level", "log_format"}
	sections = []string{"http", "limits", "upstream"}
)

// done reports the keys that no accessor has read.
func (t *table) done() {
	var unknown []string
	for key := range t.values {
		if !slices.Contains(t.known, key) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	unset := slices.DeleteFunc(slices.Clone(t.known), func(key string) bool { _, set := t.values[key]; return set })
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
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case []any:
		return "an array"
	case map[string]any:
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
