package server

// smallBuffer is what an idle connection keeps to read into: some 150 requests
// of an ordinary length at once.
const smallBuffer = 4 << 10

// buffer holds what has been received and not yet consumed. The zero value is empty and
// owns no memory.
type buffer struct {
	b     []byte
	start int // b[start:end] is unconsumed
	end   int
}

func (b *buffer) bytes() []byte { return b.b[b.start:b.end] }

func (b *buffer) len() int { return b.end - b.start }

// skip consumes n bytes. A buffer that had to grow is let go as soon as it is
// empty.
func (b *buffer) skip(n int) {
	b.start += n
	if b.start == b.end {
		b.start, b.end = 0, 0
		if len(b.b) > smallBuffer {
			b.b = nil
		}
	}
}

// small reports whether b has no more room than what an idle connection keeps.
func (b *buffer) small() bool { return len(b.b) <= smallBuffer }

// crowded reports whether b holds so much that a small buffer has no room for more.
func (b *buffer) crowded() bool { return b.len() >= smallBuffer }

// spare returns the room that is left without growing, which may be none. Whoever
// writes n bytes into it calls add(n) next. What bytes returned before is no longer
// valid.
func (b *buffer) spare() []byte {
	if b.start > 0 {
		b.end = copy(b.b, b.bytes())
		b.start = 0
	}
	return b.b[b.end:]
}

// room is spare, but grows rather than return nothing. A buffer that holds
// maxRequest bytes has no room: they hold a request, or are none.
func (b *buffer) room() []byte {
	if b.spare(); b.end == len(b.b) && len(b.b) < maxRequest {
		grown := make([]byte, min(max(2*len(b.b), smallBuffer), maxRequest))
		copy(grown, b.b[:b.end])
		b.b = grown
	}
	return b.b[b.end:]
}

func (b *buffer) add(n int) { b.end += n }
