package generator

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// conversations are replies of each dialect to four requests, two of them errors.
var conversations = []struct {
	dialect Dialect
	text    string
	ended   int
	refused map[string]int64
}{
	{Tokend, "OK 7000 " + strings.Repeat("v", 1000) + "\nERR NOT_FOUND - no such credential\nOK 1 x\nERR BUSY 1 too much\n", 4,
		map[string]int64{"NOT_FOUND": 1, "BUSY": 1}},
	{Tokend, "OK\nOK PONG\n", 2, nil},
	{Redis, "$5\r\na\r\nbc\r\n$-1\r\n$0\r\n\r\n-WRONGTYPE it is\r\n+OK\r\n:12\r\n", 6, map[string]int64{"missing": 1, "WRONGTYPE": 1}},
	{Memcached, "VALUE " + strings.Repeat("k", 250) + " 0 6\r\nEND\r\n!\r\nEND\r\nEND\r\nSERVER_ERROR out of memory\r\nSTORED\r\n", 4,
		map[string]int64{"missing": 1, "SERVER_ERROR": 1}},
}

// TestReplies holds that replies are counted correctly however they are cut into pieces.
func TestReplies(t *testing.T) {
	for _, c := range conversations {
		for size := 1; size <= len(c.text); size++ {
			var r replies
			var got tally
			r.reset(c.dialect)
			ended := 0
			for rest := c.text; rest != ""; {
				n := min(size, len(rest))
				more, err := r.scan([]byte(rest[:n]), &got)
				if err != nil {
					t.Fatal(err)
				}
				ended += more
				rest = rest[n:]
			}
			if ended != c.ended || !maps.Equal(got.refused, c.refused) {
				t.Fatalf("%v in pieces of %d: got %d, refused %v\nwant %d, refused %v", c.dialect, size, ended, got.refused, c.ended, c.refused)
			}
		}
	}
}

func TestForeignReplies(t *testing.T) {
	for _, tt := range []struct {
		dialect Dialect
		text    string
	}{
		{Tokend, "-ERR unknown command\r\n"},
		{Tokend, "HTTP/1.1 400 Bad Request\r\n"},
		{Redis, "ERR BAD_REQUEST - unknown verb\n"},
		{Redis, "$12x\r\n"},
		{Redis, "$99999999999999999999\r\n"},
		{Redis, "\r\n"},
		{Memcached, "VALUE k 0 many\r\n"},
		{Memcached, "OK 1 x\n"},
	} {
		var r replies
		r.reset(tt.dialect)
		if _, err := r.scan([]byte(tt.text), &tally{}); !errors.Is(err, ErrForeign) {
			t.Errorf("%v: %q: got %v", tt.dialect, tt.text, err)
		}
	}
}

// TestWord holds that a server's text is shown unquoted only if it is a word.
func TestWord(t *testing.T) {
	for in, want := range map[string]string{"NOT_FOUND - x": "NOT_FOUND", "": "unnamed", "\x1b[2J": `"\x1b[2J"`} {
		if got := word([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	for d, want := range map[Dialect]string{
		Tokend:    "GET a/b\nPUT a/b v\n",
		Redis:     "*2\r\n$3\r\nGET\r\n$3\r\na/b\r\n*3\r\n$3\r\nSET\r\n$3\r\na/b\r\n$1\r\nv\r\n",
		Memcached: "get a/b\r\nset a/b 0 0 1\r\nv\r\n",
	} {
		if got := string(d.AppendSet(d.AppendGet(nil, "a/b"), "a/b", "v")); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// TestPick holds that all requests are sent, in order or at random, by all loops together.
func TestPick(t *testing.T) {
	var r Requests
	for i := range 100 {
		r.Add(func(b []byte) []byte { return fmt.Appendf(b, "%d\n", i) })
	}
	for _, inTurn := range []bool{true, false} {
		seen := map[string]int{}
		const loops = 3
		for one := range loops {
			p := newPicker(Plan{Requests: &r, InTurn: inTurn}, one, loops)
			for range 1000 {
				seen[string(p.next())]++
			}
		}
		if len(seen) != 100 {
			t.Errorf("in turn %t: %d were sent", inTurn, len(seen))
		}
		for request, n := range seen {
			if n > 60 || inTurn && n != 30 {
				t.Errorf("in turn %t: %q was sent %d times", inTurn, request, n)
			}
		}
	}
}

func BenchmarkScan(b *testing.B) {
	reply := []byte(strings.Repeat("OK 7000 "+strings.Repeat("v", 512)+"\n", 16))
	var r replies
	var t tally
	r.reset(Tokend)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.scan(reply, &t); n != 16 || err != nil {
			b.Fatal(n, err)
		}
	}
}
