package config

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// excerptWidth is the maximum number of characters of a line that are shown.
const excerptWidth = 90

// excerpt returns a line of the file and, below it, a caret at the byte column. A line with a
// mistake may contain a secret anywhere. So everything is replaced by dots, except punctuation, and
// words that are keys where a key can be.
func excerpt(line string, column int) string {
	var shown []rune
	caret := -1
	tokens := scan(line)
	for i, t := range tokens {
		part := masked(tokens, i)
		if caret < 0 && column < t.end() {
			caret = len(shown)
			switch {
			case column <= t.at:
			case part == t.text:
				caret += utf8.RuneCountInString(t.text[:column-t.at])
			default: // inside of a value
				caret += utf8.RuneCountInString(part) - 1
			}
		}
		shown = append(shown, []rune(part)...)
	}
	if caret < 0 {
		caret = len(shown)
	}
	if len(shown) > excerptWidth {
		from := min(max(0, caret-excerptWidth/2), len(shown)-excerptWidth)
		shown, caret = shown[from:from+excerptWidth], caret-from
	}
	pad := make([]rune, 0, caret)
	for _, c := range shown[:min(caret, len(shown))] {
		pad = append(pad, padding(c)...)
	}
	return string(shown) + "\n" + string(pad) + "^"
}

// padding returns blanks that are as wide as c on a terminal.
func padding(c rune) []rune {
	switch {
	case c == '\t':
		return []rune{'\t'}
	case c >= 0x3000 && c <= 0x303f || c >= 0xff01 && c <= 0xff60: // full-width punctuation
		return []rune("  ")
	}
	return []rune{' '}
}

// kind is the kind of a token.
type kind uint8

const (
	blank   kind = iota
	sign         // one of = [ ] { } ,
	alike        // a character that looks like one of TOML's, see alikes
	quoted       // a string in ASCII quotation marks
	comment      // from # to the end
	bare         // anything else
)

// lexeme is a part of a line.
type lexeme struct {
	kind kind
	text string
	at   int  // offset in the line
	open bool // quoted: without the closing quotation mark
}

func (t lexeme) end() int { return t.at + len(t.text) }

// scan divides a line into tokens. It knows nothing of the lines before: a part of a multi-line
// string becomes tokens too.
func scan(line string) []lexeme {
	var tokens []lexeme
	for at := 0; at < len(line); {
		t := lexeme{kind: bare, at: at}
		rest := line[at:]
		c, size := utf8.DecodeRuneInString(rest)
		switch {
		case c == ' ' || c == '\t':
			t.kind, t.text = blank, rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
		case c == '#':
			t.kind, t.text = comment, rest
		case strings.ContainsRune("=[]{},", c):
			t.kind, t.text = sign, rest[:size]
		case alikes[c] != alikeSign{}:
			t.kind, t.text = alike, rest[:size]
		case c == '"' || c == '\'':
			n, closed := stringEnd(rest)
			t.kind, t.text, t.open = quoted, rest[:n], !closed
		default:
			n := strings.IndexFunc(rest, func(c rune) bool {
				return strings.ContainsRune(" \t#=[]{},\"'", c) || alikes[c] != alikeSign{}
			})
			if n < 0 {
				n = len(rest)
			}
			t.text = rest[:n]
		}
		tokens = append(tokens, t)
		at = t.end()
	}
	return tokens
}

// stringEnd returns the length of the string at the beginning of s, and whether it is closed.
func stringEnd(s string) (n int, closed bool) {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i + 1, true
		}
	}
	return len(s), false
}

// masked returns what is shown of the token at i.
func masked(tokens []lexeme, i int) string {
	const dots = "..."
	switch t := tokens[i]; t.kind {
	case comment:
		return "# " + dots
	case quoted:
		switch {
		case t.open:
			end, _ := utf8.DecodeLastRuneInString(t.text)
			if alikes[end].meant == `"` {
				return t.text[:1] + dots + string(end)
			}
			return t.text[:1] + dots
		case len(t.text) == 2:
			return t.text
		}
		return t.text[:1] + dots + t.text[:1]
	case bare:
		if isKey(tokens, i) && known(t.text) || booleanWord(t.text) {
			return t.text
		}
		return dots
	default:
		return t.text
	}
}

// isKey reports whether a key can be at i: at the beginning of a line, in a header, before "="
// or a colon.
func isKey(tokens []lexeme, i int) bool {
	first := slices.IndexFunc(tokens, func(t lexeme) bool { return t.kind != blank && t.text != "[" })
	after := beside(tokens, i, +1).text
	return i == first || after == "=" || after == "＝" || strings.HasSuffix(tokens[i].text, ":")
}

// beside returns the next token from i in a direction, +1 or -1, that is no blank. Without one, it
// returns a blank.
func beside(tokens []lexeme, i, direction int) lexeme {
	for i += direction; i >= 0 && i < len(tokens); i += direction {
		if tokens[i].kind != blank {
			return tokens[i]
		}
	}
	return lexeme{}
}

// booleanWord reports whether s is meant as a boolean.
func booleanWord(s string) bool {
	return slices.Contains([]string{"true", "false", "yes", "no", "on", "off"}, strings.ToLower(s))
}

// known reports whether s, which may have dots and a colon at its end, consists of tokend's keys or
// of words that are similar.
func known(s string) bool {
	for word := range strings.SplitSeq(strings.TrimSuffix(s, ":"), ".") {
		if len(word) > 24 || didYouMean(word, vocabulary) == "" {
			return false
		}
	}
	return true
}

// vocabulary is all keys and names of tables of a configuration.
var vocabulary = []string{
	"access", "aes_key", "agent_id", "alias", "app_id", "authorizer", "business_type", "corp", "corp_id",
	"credential", "credential_metrics", "downstream", "encryption_key", "env", "file", "groups",
	"http", "idle_timeout", "key", "limits", "listen", "log_format", "log_level", "max_connections",
	"mini_program", "monitors", "names", "official_account", "open_platform", "open_work",
	"permanent_code", "pre_auth_codes_per_hour", "previous_aes_key", "previous_token",
	"provider_secret", "redis", "refresh_token", "requests_per_second", "secret", "socket", "socket_mode",
	"state_dir", "suite", "suite_id", "suite_secret", "timeout", "token", "upstream",
	"upstream_calls", "use_stable_access_token", "users", "value", "verbs", "waiting_requests", "weixin_url",
	"work", "work_url",
}
