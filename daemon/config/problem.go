package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a file, or one warning. It contains no secret.
type Problem struct {
	File    string
	Line    int // from 1; 0 if the problem concerns no particular line
	Message string

	// Excerpt is the line with its values replaced, and a line with a caret below it. It is "" for
	// problems whose message needs none.
	Excerpt string `json:",omitempty"`
}

// String returns "file:line: message".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Error returns the same as String.
func (p Problem) Error() string { return p.String() }

// Problems are all mistakes in a file, sorted by line; never empty.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errs
}

func byLine(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}
