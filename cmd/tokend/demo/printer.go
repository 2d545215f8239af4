package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// printer prints events in one of two languages. Its methods take each text twice, so that both
// versions are in one place.
type printer struct {
	w       io.Writer
	chinese bool

	step            int // the number of the last step
	checked, failed int
}

func (p *printer) text(en, zh string, args ...any) string {
	if p.chinese {
		return fmt.Sprintf(zh, args...)
	}
	return fmt.Sprintf(en, args...)
}

// begin prints the heading of a step.
func (p *printer) begin(en, zh string, args ...any) {
	p.step++
	fmt.Fprintf(p.w, "\n%d. %s\n", p.step, p.text(en, zh, args...))
}

// say prints a line.
func (p *printer) say(en, zh string, args ...any) {
	fmt.Fprintf(p.w, "   %s\n", p.text(en, zh, args...))
}

// check prints a comparison and its result.
func (p *printer) check(ok bool, en, zh string, args ...any) {
	p.checked++
	word := "ok"
	if !ok {
		word = "NO"
		p.failed++
	}
	fmt.Fprintf(p.w, "   %s  %s\n", word, p.text(en, zh, args...))
}

// outside begins lines that belong to no step, until the returned function is called.
func (p *printer) outside() (end func()) {
	w := p.w
	p.w = unindented{w}
	return func() { p.w = w }
}

// unindented removes the indentation of lines that belong to no step.
type unindented struct{ w io.Writer }

func (u unindented) Write(p []byte) (int, error) {
	if _, err := io.WriteString(u.w, strings.TrimPrefix(string(p), "   ")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// uninterrupted drops what is written after an interruption: the checks that it has cut short mean
// nothing.
type uninterrupted struct {
	ctx context.Context
	io.Writer
}

func (u uninterrupted) Write(p []byte) (int, error) {
	if errors.Is(u.ctx.Err(), context.Canceled) {
		return len(p), nil
	}
	return u.Writer.Write(p)
}

// grouped returns n with a space between thousands.
func grouped[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
