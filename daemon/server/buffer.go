package server

// smallBuffer is the size in bytes of an idle connection's buffer: about 150 requests of ordinary
// length.
const smallBuffer = 4 << 10

// buffer has the bytes that have arrived and are not yet consumed. The zero value is empty and owns
// no memory.
type buffer struct {
	b     []byte
	start int // b[start:end] is unconsumed
	end   int
}

func (b *buffer) bytes() []byte { return b.b[b.start:b.end] }

func (b *buffer) len() int { return b.end - b.start }

// skip consumes n bytes. A buffer that has grown is released as soon as it is empty.
func (b *buffer) skip(n int) {
	b.start += n
	if b.start == b.end {
		b.start, b.end = 0, 0
		if len(b.b) > smallBuffer {
			b.b = nil
		}
	}
}

// small reports whether b is no larger than the buffer of an idle connection.
func (b *buffer) small() bool { return len(b.b) <= smallBuffer }

// crowded reports whether b has more than a small buffer can hold.
func (b *buffer) crowded() bool { return b.len() >= smallBuffer }

// spare returns the free part of b, which may be empty. After the caller has written n bytes there,
// it calls add(n). The result of an earlier call of bytes is no longer valid.
func (b *buffer) spare() []byte {
	if b.start > 0 {
		b.end = copy(b.b, b.bytes())
		b.start = 0
	}
	return b.b[b.end:]
}

// free is spare, but grows b rather than return nothing. A buffer that holds
// maxRequest bytes is full: they hold a request, or are none.
func (b *buffer) free() []byte {
	if b.spare(); b.end == len(b.b) && len(b.b) < maxRequest {
		grown := make([]byte, min(max(2*len(b.b), smallBuffer), maxRequest))
		copy(grown, b.b[:b.end])
		b.b = grown
	}
	return b.b[b.end:]
}

func (b *buffer) add(n int) { b.end += n }
