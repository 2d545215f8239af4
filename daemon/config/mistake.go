package config

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// mistake returns the problem for a syntax error that the parser has reported with a message at a
// line and a column, both from 1. It names the mistake in the words of the person who made it.
func mistake(data []byte, line, column int, message string) Problem {
	if p, bad := misencoded(data); bad {
		return p
	}
	text := lineOf(data, line)
	column = min(max(column-1, 0), len(text))
	tokens := scan(text)
	if at, why, found := confused(tokens); found {
		return Problem{Line: line, Message: why, Excerpt: excerpt(text, at)}
	}
	s := site{text: text, rest: strings.TrimLeft(text[column:], " \t"), tokens: tokens, column: column}
	why := s.explain(message)
	if why == "" {
		why = "not TOML: " + withoutQuotes(strings.TrimPrefix(message, "toml: "))
	}
	return Problem{Line: line, Message: why, Excerpt: excerpt(text, s.column)}
}

// misencoded returns the problem of a file that is not UTF-8.
func misencoded(data []byte) (Problem, bool) {
	utf16 := bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) ||
		bytes.Count(data, []byte{0}) > len(data)/4
	if utf16 {
		return Problem{Line: 1, Message: "the file is in UTF-16: save the file as UTF-8"}, true
	}
	line := 1
	for text := range bytes.Lines(data) {
		if !utf8.Valid(text) {
			return Problem{Line: line, Message: "this line is not UTF-8, but probably GBK: save the file as UTF-8"}, true
		}
		line++
	}
	return Problem{}, false
}

// lineOf returns a line of data without its end.
func lineOf(data []byte, line int) string {
	for text := range bytes.Lines(data) {
		if line--; line == 0 {
			return strings.TrimRight(string(text), "\r\n")
		}
	}
	return ""
}

// site is where the parser has stopped.
type site struct {
	text   string
	rest   string // from column on, without leading blanks
	tokens []lexeme
	column int // offset in text; explain may move it to the cause
}

// The remedies that several mistakes have.
const (
	noQuotes  = `the value has no quotation marks: type "..." around it`
	noEnd     = `the value has no closing quotation mark`
	noComment = `a comment begins with #`
	openArray = `the array above has no closing ]`
	oneWord   = `a key is one word: there is text between the key and the =`
)

// settingStart matches the beginning of a line "key = value" or of a header.
var settingStart = regexp.MustCompile(`^(\[\[?[A-Za-z]|[A-Za-z0-9_.-]+\s*=)`)

// explain returns the mistake for a message of the parser, "" if it is unknown.
func (s *site) explain(message string) string {
	has := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case has("expected '=' after key"):
		return s.noEquals()
	case has("to close table name"), has("to close array table name"):
		return s.header()
	case has("at start of value"), has("expected value"), has("keyword"):
		return s.noValue()
	case has("strings must be quoted"), has("expected digit"), has("leading zeroes"), has("digit"), has("underscore"):
		return s.unquoted()
	case has("expected newline"):
		return s.trailing()
	case has("cannot have new lines"), has("not terminated"), has("unterminated"):
		return noEnd
	case has("invalid escape"):
		return `a backslash begins an escape: type two, \\, or put the value between ' '`
	case has("control characters"):
		return "the value contains an invisible control character: type the value again"
	case has("expected ',' or ']'"):
		if s.rest == "" || settingStart.MatchString(s.rest) {
			return openArray
		}
		return "a comma between two values of the array, or its closing ], is missing"
	case has("array is incomplete"):
		return openArray
	case has("expected ',' or '}'"), has("inline table is incomplete"):
		return "the closing } is missing"
	case has("is already defined"):
		return "this key is set twice in the same table"
	case has("as an array of tables"), has("should be an array table"):
		return "the same name is a table, [name], and a list of tables, [[name]], in this file"
	case has("already exists"):
		return "this table is in the file twice: put all its keys under the first one"
	case has("invalid character at start of key"):
		return s.noKey()
	}
	return ""
}

// noEquals is for a key that no "=" follows.
func (s *site) noEquals() string {
	switch {
	case strings.HasPrefix(s.rest, ":"):
		return `there is ":" between the key and the value: type =`
	case s.rest == "" || s.rest[0] == '#':
		return "the key has no = and no value"
	case strings.ContainsRune(s.rest, '=') && s.rest[0] != '"' && s.rest[0] != '\'':
		return oneWord
	}
	return "there is no = between the key and the value"
}

// header is for a table's name that does not end.
func (s *site) header() string {
	closing := "]"
	if strings.HasPrefix(strings.TrimSpace(s.text), "[[") {
		closing = "]]"
	}
	if before, _, ok := strings.Cut(s.rest, "]"); ok && before != "" {
		return "the name of a table is one word without spaces: see the example configuration"
	}
	return "the name of the table has no closing " + closing
}

// noValue is for a value that does not begin like one.
func (s *site) noValue() string {
	word, _, _ := strings.Cut(s.rest, " ")
	switch {
	case s.rest == "" || s.rest[0] == '#', strings.TrimRight(s.rest, " ") == "=": // the last at the end of the file
		return "the key has no value"
	case s.rest[0] == '=':
		return "there are two = signs: type one"
	case booleanWord(word):
		return "a yes or no is written true or false, in lower case"
	case !strings.Contains(s.text[:s.column], "=") && settingStart.MatchString(s.rest):
		return openArray
	case strings.ContainsRune(",]}", rune(s.rest[0])):
		return "a value is missing"
	}
	return s.unquoted()
}

// unquoted is for a value without quotation marks. The caret moves to its beginning.
func (s *site) unquoted() string {
	for _, t := range s.tokens {
		if t.kind == bare && t.at <= s.column && s.column <= t.end() {
			s.column = t.at
		}
	}
	return noQuotes
}

// trailing is for text after a value.
func (s *site) trailing() string {
	for i, t := range s.tokens {
		inside := t.at < s.column && s.column < t.end() || t.at == s.column
		if !inside {
			continue
		}
		before := beside(s.tokens, i, -1)
		switch {
		case t.kind != bare || s.rest == ";":
		case t.at < s.column && before.text == "=":
			s.column = t.at
			return noQuotes
		case before.kind == quoted && before.end() == t.at:
			return `the value contains its own quotation mark: use the other one, " or ', around it`
		}
	}
	switch {
	case strings.HasPrefix(s.rest, "]"):
		return "there is one ] too many, or a [ is missing at the beginning"
	case strings.HasPrefix(s.rest, ";"):
		return "a line does not end with ;"
	case strings.HasPrefix(s.rest, ","):
		return "a line does not end with a comma"
	case settingStart.MatchString(s.rest):
		return "there are two settings on one line: write each on its own line"
	}
	return "there is text after the value: " + noComment
}

// noKey is for a line that does not begin with a key.
func (s *site) noKey() string {
	switch {
	case strings.HasPrefix(s.rest, "//"), strings.HasPrefix(s.rest, ";"), strings.HasPrefix(s.rest, "--"), strings.HasPrefix(s.rest, "/*"):
		return noComment
	case strings.HasPrefix(s.rest, "="):
		return "the key before the = is missing"
	case strings.HasPrefix(s.rest, "]"), strings.HasPrefix(s.rest, "}"), strings.HasPrefix(s.rest, ","):
		return "this belongs to no array: remove it, or look for a bracket that closes too early"
	case strings.HasPrefix(s.rest, "<"), strings.HasPrefix(s.rest, "{"):
		return "the file is not TOML: see the example configuration"
	}
	return "a key has only the characters A-Z a-z 0-9 _ -"
}
