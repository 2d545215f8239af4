package metrics

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"
)

// text is metrics in the words of Prometheus' text format, version 0.0.4. They are written as they
// come: nothing is made of a sample but its line, and no more lines are held than fit into a chunk.
// A library that keeps each as an object, sorts them and holds them against each other takes twenty
// times as long, and tokend may have a hundred thousand of them; what it would find is held by the
// tests, which read what is written here with that library.
//
// Make one with [newText].
type text struct {
	w    io.Writer
	rest func() // called before a write that may take long
	slow bool   // the last write did
	b    []byte // what has not been written to w yet
	err  error  // the first fault: what cannot be written, or w's
}

// chunk is how much is written to w at once.
const chunk = 64 << 10

// spare is room for the last line of a chunk: it is written when it is full.
const spare = 2 << 10

// quick is how long a write takes at most where the client keeps up. To rest before each of those
// would take a quarter more of processor time.
const quick = time.Millisecond

func newText(w io.Writer, rest func()) *text {
	return &text{w: w, rest: rest, b: make([]byte, 0, chunk+spare)}
}

// flush writes what there is to w.
func (t *text) flush() {
	if len(t.b) > 0 && t.err == nil {
		if t.slow {
			t.rest()
		}
		began := time.Now()
		_, t.err = t.w.Write(t.b)
		t.slow = time.Since(began) > quick
	}
	t.b = t.b[:0]
}

// each calls f with what all yields, until there is a fault.
func each[T any](t *text, all iter.Seq[T], f func(T)) {
	for v := range all {
		if t.err != nil {
			return
		}
		f(v)
	}
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
	if len(f.of.b) >= chunk {
		f.of.flush()
	}
	b := f.of.b
	if !f.begun {
		f.begun = true
		b = append(append(append(b, "# HELP "...), f.name...), ' ')
		b = append(append(appendEscaped(b, f.help, false), "\n# TYPE "...), f.name...)
		b = append(append(append(b, ' '), f.kind...), '\n')
	}
	b = append(append(b, f.name...), suffix...)
	for i, l := range labels {
		between := byte(',')
		if i == 0 {
			between = '{'
		}
		b = append(append(append(b, between), l.name...), `="`...)
		if plain(l.value) { // nearly always
			b = append(append(b, l.value...), '"')
			continue
		}
		if !utf8.ValidString(l.value) && f.of.err == nil {
			f.of.err = fmt.Errorf("%s: label %s is %q, which is no UTF-8", f.name, l.name, l.value)
		}
		b = append(appendEscaped(b, l.value, true), '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	f.of.b = append(b, ' ')
}

// timestamp adds a sample that is a time, to a millisecond.
func (f *family) timestamp(t time.Time, labels ...label) {
	f.begin("", labels)
	f.of.b = append(appendSeconds(f.of.b, t.UnixMilli()), '\n')
}

// appendSeconds appends milliseconds as seconds. It takes a third of the time that the shortest
// text of a float takes.
func appendSeconds(b []byte, ms int64) []byte {
	if ms < 0 {
		return appendFloat(b, float64(ms)/1000)
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if ms %= 1000; ms > 0 {
		b = append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return b
}

// appendFloat appends v as the format has it.
func appendFloat(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }

// plain reports whether s is printable ASCII of which nothing is to be escaped. It looks at all of s
// without a branch: scrapes spend much of their time here.
func plain(s string) bool {
	var odd byte
	for i := range len(s) {
		odd |= oddities[s[i]]
	}
	return odd == 0
}

// oddities has 1 for the bytes that are not plain.
var oddities = func() (odd [256]byte) {
	for c := range odd {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			odd[c] = 1
		}
	}
	return odd
}()

// appendEscaped appends s as a label's value, which is quoted, or as a help.
func appendEscaped(b []byte, s string, quoted bool) []byte {
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
