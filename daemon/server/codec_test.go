package server

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/protocol"
)

// frames is a codec for tests. A frame is its length in two bytes, big-endian, and so many bytes.
// The reply to "PING" is "PONG". The reply to "GET" with a name is the value, or "!" and the code
// of an error. There are no other requests.
type frames struct{ replies }

const framesByte = 0 // the first byte of a short frame

var errFrame = &protocol.Error{Code: protocol.BadRequest, RetryAfter: protocol.Never, Message: "not a request"}

// codecByFirstByte uses frames for connections that begin with framesByte.
func codecByFirstByte(first byte) codec {
	if first == framesByte {
		return frames{}
	}
	return new(lines)
}

func appendFrame(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...)
}

func (frames) cut(in []byte) (request, name []byte, size int, err error) {
	if len(in) < 2 {
		return nil, nil, 0, errIncomplete
	}
	size = 2 + int(binary.BigEndian.Uint16(in))
	switch {
	case size > maxRequest:
		return nil, nil, 0, errFrame
	case len(in) < size:
		return nil, nil, 0, errIncomplete
	}
	request = in[2:size]
	if bytes.HasPrefix(request, []byte(getWord)) {
		name = request[4:]
	}
	return request, name, size, nil
}

func (frames) answer(s *session, request []byte) action {
	verb, name, _ := strings.Cut(string(request), " ")
	switch {
	case verb == "PING" && name == "":
		return s.call(protocol.VerbPing, nil)
	case verb == "GET" && protocol.ValidName(name):
		return s.call(protocol.VerbGet, [][]byte{[]byte(name)})
	}
	s.failNone(errFrame)
	return more
}

func (frames) close(*session) {}

func (frames) value(dst []byte, _ time.Duration, value string) []byte { return appendFrame(dst, value) }
func (frames) pong(dst []byte) []byte                                 { return appendFrame(dst, "PONG") }
func (frames) fail(dst []byte, e *protocol.Error) []byte {
	return appendFrame(dst, "!"+string(e.Code))
}

func framed(texts ...string) string {
	var all []byte
	for _, text := range texts {
		all = appendFrame(all, text)
	}
	return string(all)
}

func readFrame(t *testing.T, c *client) string {
	t.Helper()
	var size [2]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c.r, text); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSecondCodec holds a conversation in another wire format: pipelined, in pieces, with hits,
// values that are waited for, and errors.
func TestSecondCodec(t *testing.T) { overBoth(t, trySecondCodec) }

func trySecondCodec(t *testing.T, d driver) {
	path, _, engine := d.startSocket(t, Config{codec: codecByFirstByte})
	c, lines := dialSocket(t, path), dialSocket(t, path)
	lines.want(lines.ask("GET "+token), "OK 7199 tok-01")
	whole := framed("PING", "GET "+token, "GET "+cold, "GET no/such/name", "nonsense", "PING")
	c.send(whole[:3])
	time.Sleep(time.Millisecond)
	c.send(whole[3:])
	c.want(readFrame(t, c), "PONG")
	c.want(readFrame(t, c), "tok-01")
	eventually(t, "it waits", func() bool { _, now := engine.waiters(); return now == 1 })
	engine.tell(cold, fetched{value: "fetched"})
	for _, want := range []string{"fetched", "!NOT_FOUND", "!BAD_REQUEST", "PONG"} {
		c.want(readFrame(t, c), want)
	}
	c.send(framed("PING", strings.Repeat("x", maxRequest-1)))
	c.want(readFrame(t, c), "PONG")
	c.want(readFrame(t, c), "!BAD_REQUEST")
	c.want(c.rest(), "")
}

// TestSecondCodecHit checks that a hit allocates nothing in another wire format either.
func TestSecondCodecHit(t *testing.T) {
	s := sessionOf(New(Config{Engine: newStaticEngine(), Limits: Limits{UserRate: unslowed}, codec: codecByFirstByte}), access.Peer{UID: guest})
	in := []byte(framed("GET "+token, "GET "+token))
	n := testing.AllocsPerRun(100, func() {
		s.out = s.out[:0]
		if n, next := s.step(in); n != len(in) || next != more {
			t.Fatal(n, next)
		}
	})
	if n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// TestFormatInItsFiles checks that only the files of a codec use the framing, parsing and replies
// of package protocol. All other files use a codec.
func TestFormatInItsFiles(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	format := regexp.MustCompile(`protocol\.(Append\w+|Cut\w+|Request|MaxLine|MaxPiece|ErrIncomplete)\b`)
	users := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch used := format.Find(b); {
		case used == nil:
		case file == "lines.go", strings.HasPrefix(file, "resp"):
			users++
		default:
			t.Errorf("%s uses %s", file, used)
		}
	}
	if users < 2 {
		t.Error("no codec uses them")
	}
}
