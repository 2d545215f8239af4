package metrics

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text is metrics in the words of Prometheus' text format, version 0.0.4. They are written as they
// come: nothing is made of a sample but its line. A library that keeps each as an object, sorts
// them and holds them against each other takes twenty times as long, and tokend may have ten
// thousand of them; what it would find is held by the tests, which read what is written here with
// that library.
//
// Its zero value is empty.
type text struct {
	b   []byte
	err error // the first fault: what cannot be written
}

// family is the samples of one metric, which stand together. Nothing is written of a family without
// any.
type family struct {
	of               *text
	name, kind, help string
	begun            bool
}

func (t *text) gauge(name, help string) *family   { return t.family(name, "gauge", help) }
func (t *text) counter(name, help string) *family { return t.family(name, "counter", help) }

// family begins the metric tokend_<name>.
func (t *text) family(name, kind, help string) *family {
	return &family{of: t, name: "tokend_" + name, kind: kind, help: help}
}

// label is one label of a sample.
type label struct{ name, value string }

// add adds a sample. A family's samples have the same labels, in the same order, and no two have
// the same values of them.
func (f *family) add(value float64, labels ...label) { f.part("", value, labels...) }

// count is add for what is counted, which a float could not always hold.
func (f *family) count(n int64, labels ...label) {
	f.begin("", labels)
	f.of.b = append(strconv.AppendInt(f.of.b, n, 10), '\n')
}

// part adds one of the samples that make up a histogram or a summary.
func (f *family) part(suffix string, value float64, labels ...label) {
	f.begin(suffix, labels)
	f.of.b = append(appendFloat(f.of.b, value), '\n')
}

// begin writes a sample up to its value.
func (f *family) begin(suffix string, labels []label) {
	b := f.of.b
	if !f.begun {
		f.begun = true
		b = append(append(append(b, "# HELP "...), f.name...), ' ')
		b = append(append(appendEscaped(b, f.help, false), "\n# TYPE "...), f.name...)
		b = append(append(append(b, ' '), f.kind...), '\n')
	}
	b = append(append(b, f.name...), suffix...)
	for i, l := range labels {
		if !utf8.ValidString(l.value) && f.of.err == nil {
			f.of.err = fmt.Errorf("%s: label %s is %q, which is no UTF-8", f.name, l.name, l.value)
		}
		between := byte(',')
		if i == 0 {
			between = '{'
		}
		b = append(append(append(b, between), l.name...), `="`...)
		b = append(appendEscaped(b, l.value, true), '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	f.of.b = append(b, ' ')
}

// appendFloat appends v as the format has it.
func appendFloat(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }

// appendEscaped appends s as a label's value, which is quoted, or as a help.
func appendEscaped(b []byte, s string, quoted bool) []byte {
	if !strings.ContainsAny(s, "\\\n\"") { // nearly always
		return append(b, s...)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quoted:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}
