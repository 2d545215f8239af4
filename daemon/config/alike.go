package config

import (
	"fmt"
	"unicode"
)

// alikeSign is what a character was meant to be.
type alikeSign struct {
	meant string // what to type; "" for nothing
	what  string // what the character is
}

// alikes are characters that input methods and word processors write in place of TOML's own.
var alikes = map[rune]alikeSign{
	'“':      {`"`, "a Chinese quotation mark"},
	'”':      {`"`, "a Chinese quotation mark"},
	'‘':      {`"`, "a Chinese quotation mark"},
	'’':      {`"`, "a Chinese quotation mark"},
	'„':      {`"`, "a typographic quotation mark"},
	'«':      {`"`, "a typographic quotation mark"},
	'»':      {`"`, "a typographic quotation mark"},
	'「':      {`"`, "a Chinese quotation mark"},
	'」':      {`"`, "a Chinese quotation mark"},
	'『':      {`"`, "a Chinese quotation mark"},
	'』':      {`"`, "a Chinese quotation mark"},
	'＂':      {`"`, "a full-width quotation mark"},
	'＇':      {`'`, "a full-width quotation mark"},
	'`':      {`"`, "a backtick"},
	'＝':      {"=", "a full-width equals sign"},
	'，':      {",", "a Chinese comma"},
	'、':      {",", "a Chinese comma"},
	'。':      {".", "a Chinese full stop"},
	'：':      {":", "a full-width colon"},
	'；':      {";", "a full-width semicolon"},
	'【':      {"[", "a Chinese bracket"},
	'】':      {"]", "a Chinese bracket"},
	'［':      {"[", "a full-width bracket"},
	'］':      {"]", "a full-width bracket"},
	'｛':      {"{", "a full-width brace"},
	'｝':      {"}", "a full-width brace"},
	'＃':      {"#", "a full-width number sign"},
	'\u00a0': {"a space", "a no-break space"},
	'\u3000': {"a space", "a full-width space"},
	'\u200b': {"", "an invisible space"},
	'\ufeff': {"", "a byte order mark"},
}

// describe says what c, which is one of alikes, is, and what to type in its place.
func describe(c rune) string {
	a := alikes[c]
	code := fmt.Sprintf("U+%04X", c)
	if unicode.IsPrint(c) {
		code = fmt.Sprintf("%c (%s)", c, code)
	}
	if a.meant == "" {
		return code + " is " + a.what + ": remove it"
	}
	return code + " is " + a.what + ": type " + a.meant
}

// confused returns the first token of a line that is one of alikes and causes a syntax error, if
// any. It is outside of strings, or a quotation mark in a string without an end.
func confused(tokens []lexeme) (at int, text string, found bool) {
	open := len(tokens) > 0 && tokens[len(tokens)-1].open
	inside := -1 // a look-alike of a quotation mark in a string
	for i, t := range tokens {
		switch {
		case t.kind == alike:
			c := []rune(t.text)[0]
			if open && inside >= 0 && i > 0 {
				break // the string began before it
			}
			return t.at, describe(c), true
		case t.kind == quoted && inside < 0:
			for j, c := range t.text {
				if alikes[c].meant == `"` && c != '`' {
					inside = t.at + j
					text = describe(c)
					break
				}
			}
		}
	}
	return inside, text, open && inside >= 0
}
