package metrics

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"

	"tokend/daemon/credential"
)

// text writes metrics in Prometheus' text format, version 0.0.4. It buffers at most one chunk of
// lines. Prometheus' library would make an object of each sample, sort and compare them, which
// takes twenty times as long. tokend may have 100 000 samples. The tests check the output with that
// library.
//
// Make one with [newText].
type text struct {
	w    io.Writer
	rest func() // called before a write that may take long
	slow bool   // the last write took long
	b    []byte // lines not yet written to w
	head []byte // reused by set
	err  error  // the first error: of w, or an invalid label
}

// chunk is the size of a write to w, in bytes.
const chunk = 64 << 10

// spare is the buffer's capacity beyond chunk, for the last lines of a chunk, in bytes.
const spare = 4 << 10

// quick is the maximum time of a write to a client that keeps up. A rest before each such write
// would use a quarter more processor time.
const quick = time.Millisecond

func newText(w io.Writer, rest func()) *text {
	return &text{w: w, rest: rest, b: make([]byte, 0, chunk+spare)}
}

// flush writes the buffer to w.
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

// each calls f with the elements of all, until there is an error.
func each[T any](t *text, all iter.Seq[T], f func(T)) {
	for v := range all {
		if t.err != nil {
			return
		}
		f(v)
	}
}

// family writes the samples of one metric, which must be adjacent. A family without samples writes
// nothing.
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

// add adds a sample. All samples of a family must have the same labels in the same order, and no
// two the same values of all labels.
func (f *family) add(value float64, labels ...label) { f.part("", value, labels...) }

// count is like add for an integer, which may exceed the precision of a float.
func (f *family) count(n int64, labels ...label) {
	f.begin("", labels)
	f.of.b = append(strconv.AppendInt(f.of.b, n, 10), '\n')
}

// part adds one sample of a histogram or a summary.
func (f *family) part(suffix string, value float64, labels ...label) {
	f.begin(suffix, labels)
	f.of.b = append(appendFloat(f.of.b, value), '\n')
}

// histogram adds the parts of a histogram of n durations.
func (f *family) histogram(buckets [len(credential.Buckets)]int64, n int64, took time.Duration, which label) {
	sum := int64(0)
	for i, bound := range credential.Buckets {
		sum += buckets[i]
		f.part("_bucket", float64(sum), which, label{"le", string(appendFloat(nil, bound.Seconds()))})
	}
	f.part("_bucket", float64(n), which, label{"le", "+Inf"})
	f.part("_sum", took.Seconds(), which)
	f.part("_count", float64(n), which)
}

// setValue is the end of a sample whose last label has a value of a set: for 0 and for 1.
type setValue [2]string

func newSetValue(name, value string) setValue {
	end := `,` + name + `="` + value + `"} `
	return setValue{end + "0\n", end + "1\n"}
}

// set adds a sample for each of values, with 1 for the current one and 0 for the others. The
// samples share all labels but the last, which values have. Most samples of a scrape are of sets:
// each is two copies.
func (f *family) set(current int, values []setValue, labels ...label) {
	t := f.of
	from := f.begin("", labels)
	t.b = t.b[:len(t.b)-len("} ")]
	t.head = append(t.head[:0], t.b[from:]...)
	for i := range values {
		if i > 0 {
			t.b = append(t.b, t.head...)
		}
		one := 0
		if i == current {
			one = 1
		}
		t.b = append(t.b, values[i][one]...)
	}
}

// begin writes a sample up to its value, and returns where in the buffer the sample begins.
func (f *family) begin(suffix string, labels []label) (from int) {
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
	from = len(b)
	b = append(append(b, f.name...), suffix...)
	for i, l := range labels {
		between := byte(',')
		if i == 0 {
			between = '{'
		}
		b = append(append(append(b, between), l.name...), `="`...)
		from := len(b)
		if b = append(b, l.value...); !plain(b[from:]) {
			if !utf8.ValidString(l.value) && f.of.err == nil {
				f.of.err = fmt.Errorf("%s: label %s is %q, which is not UTF-8", f.name, l.name, l.value)
			}
			b = appendEscaped(b[:from], l.value, true)
		}
		b = append(b, '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	f.of.b = append(b, ' ')
	return from
}

// timestamp adds a sample that is a time, with a resolution of 1 ms.
func (f *family) timestamp(t time.Time, labels ...label) {
	f.begin("", labels)
	f.of.b = append(appendSeconds(f.of.b, t.UnixMilli()), '\n')
}

// appendSeconds appends milliseconds as seconds. It takes a third of the time of appendFloat.
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

// appendFloat appends v in the format's notation.
func appendFloat(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }

// plain reports whether s is printable ASCII that needs no escapes. It checks eight bytes at once,
// because scrapes spend much of their time here.
func plain(s []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	var odd uint64
	for ; len(s) >= 8; s = s[8:] {
		x := binary.LittleEndian.Uint64(s)
		quote, slash := x^('"'*ones), x^('\\'*ones)
		// The top bit of a byte is set if the byte is not ASCII, or less than what was subtracted.
		odd |= x | (x-' '*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash
	}
	rest := byte(0)
	for _, c := range s {
		rest |= oddities[c]
	}
	return odd&tops == 0 && rest == 0
}

// oddities is 1 for bytes that are not plain.
var oddities = func() (odd [256]byte) {
	for c := range odd {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			odd[c] = 1
		}
	}
	return odd
}()

// appendEscaped appends s as a label's value (quoted) or as a help text.
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
