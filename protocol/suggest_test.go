package protocol

import (
	"strings"
	"testing"
)

func TestUnknownVerb(t *testing.T) {
	for _, tt := range []struct{ word, want string }{
		{"GTE", `unknown verb "GTE": did you mean GET?`},
		{"gett", `unknown verb "gett": did you mean GET?`},
		{"ge", `unknown verb "ge": did you mean GET?`},
		{"LITS", `unknown verb "LITS": did you mean LIST?`},
		{"STATSU", `unknown verb "STATSU": did you mean STATUS?`},
		{"exchnage", `unknown verb "exchnage": did you mean EXCHANGE?`},
		{"EXCHANGEE", `unknown verb "EXCHANGEE": did you mean EXCHANGE?`},
		{"IIMPORT", `unknown verb "IIMPORT": did you mean IMPORT?`},
		{"BAKCUP", `unknown verb "BAKCUP": did you mean BACKUP?`},
		{"PUTS", `unknown verb "PUTS": did you mean PUT?`},
		{"", "the line begins with a space, not with a verb"},
		{"g", "the line does not begin with a verb"},
		{"HELLO", "the line does not begin with a verb"},
		{"G3T", "the line does not begin with a verb"},
		{"GET.", "the line does not begin with a verb"},
		{"Sup3rSecret", "the line does not begin with a verb"},
		{"abcdefghijklmnop", "the line does not begin with a verb"}, // half of a suite's ticket may look like this
		{strings.Repeat("E", 100), "the line does not begin with a verb"},
		{"\xc7ET", "the line does not begin with a verb"}, // G with its highest bit set
	} {
		if got := unknownVerb([]byte(tt.word)).Message; got != tt.want {
			t.Errorf("%q:\n got: %s\nwant: %s", tt.word, got, tt.want)
		}
	}
}

// TestSlip holds that every verb is found with one wrong letter, and that a correct verb is not a
// slip.
func TestSlip(t *testing.T) {
	for _, v := range Verbs() {
		word := v.String()
		if slip(word, []byte(word)) {
			t.Errorf("%s is a slip of itself", word)
		}
		for i := range word {
			for _, wrong := range []string{
				word[:i] + word[i+1:],
				word[:i] + "X" + word[i+1:],
				word[:i] + "X" + word[i:],
			} {
				if wrong != word && !slip(word, []byte(strings.ToLower(wrong))) {
					t.Errorf("%s is not a slip of %s", wrong, word)
				}
			}
			if i > 0 && word[i-1] != word[i] {
				swapped := word[:i-1] + word[i:i+1] + word[i-1:i] + word[i+1:]
				if !slip(word, []byte(swapped)) {
					t.Errorf("%s is not a slip of %s", swapped, word)
				}
			}
		}
	}
}
