package generator

import (
	"bytes"
	"fmt"
	"strconv"
)

// Dialect is the protocol of a server.
type Dialect int

// The dialects, in the order of [Dialects].
const (
	Tokend Dialect = iota
	Redis
	Memcached
)

// Dialects are the names of the dialects.
var Dialects = []string{"tokend", "redis", "memcached"}

func (d Dialect) String() string { return Dialects[d] }

// ParseDialect returns the dialect with that name.
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

// AppendSet appends the request that sets the value of a name. In tokend's protocol that is a PUT,
// which tokend accepts for pushed tickets and grants only.
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

// head is the meaning of the first line of a reply, or of a part of one.
type head struct {
	skip    int    // bytes that follow and are not a line
	more    bool   // another line follows after those bytes
	refused string // why there is no value, or ""
}

// missing is the reason for a name that is not in a cache.
const missing = "missing"

// read parses a line without its terminator. value reports whether the reply has already contained
// a value.
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

// size parses the length of a value and returns it with the length of its terminator.
func size(b []byte) (int, bool) {
	const most = 1 << 30 // no server has longer values
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > most {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n + 2, len(b) > 0
}

// word returns the text before the first space, in a printable form.
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
