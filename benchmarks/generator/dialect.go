package generator

import (
	"bytes"
	"fmt"
	"strconv"
)

// Dialect is the language that a server speaks.
type Dialect int

// The dialects, as in [Dialects].
const (
	Tokend Dialect = iota
	Redis
	Memcached
)

// Dialects are the names of the dialects.
var Dialects = []string{"tokend", "redis", "memcached"}

func (d Dialect) String() string { return Dialects[d] }

// ParseDialect returns the dialect of that name.
func ParseDialect(name string) (Dialect, bool) {
	for i, known := range Dialects {
		if name == known {
			return Dialect(i), true
		}
	}
	return 0, false
}

// AppendGet appends the request for the value of a name.
func (d Dialect) AppendGet(b []byte, name string) []byte {
	switch d {
	case Redis:
		return appendRESP(b, "GET", name)
	case Memcached:
		return fmt.Appendf(b, "get %s\r\n", name)
	}
	return fmt.Appendf(b, "GET %s\n", name)
}

// AppendSet appends the request that gives a name a value. In tokend's language that is a PUT,
// which it takes of pushed tickets and grants only.
func (d Dialect) AppendSet(b []byte, name, value string) []byte {
	switch d {
	case Redis:
		return appendRESP(b, "SET", name, value)
	case Memcached:
		return fmt.Appendf(b, "set %s 0 0 %d\r\n%s\r\n", name, len(value), value)
	}
	return fmt.Appendf(b, "PUT %s %s\n", name, value)
}

func appendRESP(b []byte, words ...string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b
}

// head is what the first line of a reply, or of a part of one, says.
type head struct {
	skip    int    // bytes that follow and are no line
	more    bool   // another line follows behind those
	refused string // why nothing was given; "" if something was
}

// missing is what a cache that holds nothing under a name is counted under.
const missing = "missing"

// read reads a line, without its end, of a reply of which value says that a value has come.
func (d Dialect) read(line []byte, value bool) (h head, err error) {
	ok := false
	switch d {
	case Tokend:
		h, ok = readTokend(line)
	case Redis:
		h, ok = readRESP(bytes.TrimSuffix(line, cr))
	case Memcached:
		h, ok = readMemcached(bytes.TrimSuffix(line, cr), value)
	}
	if !ok {
		return head{}, fmt.Errorf("%w %s", ErrForeign, d)
	}
	return h, nil
}

var (
	cr      = []byte("\r")
	okay    = []byte("OK")
	refusal = []byte("ERR ")
)

func readTokend(line []byte) (head, bool) {
	if bytes.HasPrefix(line, okay) {
		return head{}, true
	}
	rest, found := bytes.CutPrefix(line, refusal)
	return head{refused: word(rest)}, found
}

func readRESP(line []byte) (head, bool) {
	if len(line) < 2 {
		return head{}, false
	}
	switch line[0] {
	case '+', ':':
		return head{}, true
	case '-':
		return head{refused: word(line[1:])}, true
	case '$':
		if line[1] == '-' {
			return head{refused: missing}, true
		}
		n, ok := size(line[1:])
		return head{skip: n}, ok
	}
	return head{}, false
}

var valueOf = []byte("VALUE ")

func readMemcached(line []byte, value bool) (head, bool) {
	if bytes.HasPrefix(line, valueOf) {
		n, ok := size(line[bytes.LastIndexByte(line, ' ')+1:])
		return head{skip: n, more: true}, ok
	}
	switch string(line) {
	case "END":
		if value {
			return head{}, true
		}
		return head{refused: missing}, true
	case "STORED":
		return head{}, true
	}
	return head{refused: word(line)}, bytes.Contains(line, []byte("ERROR"))
}

// size reads the length of a value, and returns how many bytes that is with its line's end.
func size(b []byte) (int, bool) {
	const most = 1 << 30 // more is no value of anybody's
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > most {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n + 2, len(b) > 0
}

// word returns what stands before the first space, as it may be shown.
func word(b []byte) string {
	w, _, _ := bytes.Cut(b, []byte(" "))
	for _, c := range w {
		if (c < 'A' || c > 'Z') && c != '_' {
			return strconv.QuoteToASCII(string(w[:min(len(w), 32)]))
		}
	}
	if len(w) == 0 {
		return "unnamed"
	}
	return string(w)
}
