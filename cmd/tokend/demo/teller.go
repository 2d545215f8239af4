package demo

import (
	"fmt"
	"io"
	"strconv"
)

// teller prints events in one of two languages. Its methods take each text twice, so that both
// versions are in one place.
type teller struct {
	w       io.Writer
	chinese bool

	step            int // the number of the last step
	checked, failed int
}

func (t *teller) text(en, zh string, args ...any) string {
	if t.chinese {
		return fmt.Sprintf(zh, args...)
	}
	return fmt.Sprintf(en, args...)
}

// begin prints the heading of a step.
func (t *teller) begin(en, zh string, args ...any) {
	t.step++
	fmt.Fprintf(t.w, "\n%d. %s\n", t.step, t.text(en, zh, args...))
}

// say prints a line.
func (t *teller) say(en, zh string, args ...any) {
	fmt.Fprintf(t.w, "   %s\n", t.text(en, zh, args...))
}

// check prints a comparison and its result.
func (t *teller) check(ok bool, en, zh string, args ...any) {
	t.checked++
	word := "ok"
	if !ok {
		word = "NO"
		t.failed++
	}
	fmt.Fprintf(t.w, "   %s  %s\n", word, t.text(en, zh, args...))
}

// grouped returns n with a space between thousands.
func grouped[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
