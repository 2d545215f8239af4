package generator

import "bytes"

// longestHead is how much of a line that came in pieces is kept: as much as tells what it is. A
// memcached line has the key in it, of up to 250 bytes, and its length behind.
const longestHead = 320

// replies finds the ends of the replies on one connection, in bytes that arrive cut anywhere.
// Nothing is kept of them but what is needed for that.
type replies struct {
	dialect Dialect
	skip    int  // bytes still to come that are no line
	more    bool // a line follows behind those
	value   bool // the reply under way has brought a value
	kept    int  // how much of line is the beginning of a line
	line    [longestHead]byte
}

// reset makes r ready for a new connection.
func (r *replies) reset(d Dialect) {
	r.dialect, r.skip, r.more, r.value, r.kept = d, 0, false, false, 0
}

// scan looks through what has arrived and returns how many replies end in it. Refusals
// among them are counted in t.
func (r *replies) scan(b []byte, t *tally) (ended int, err error) {
	for len(b) > 0 {
		if r.skip > 0 {
			n := min(r.skip, len(b))
			r.skip -= n
			b = b[n:]
			if r.skip == 0 && !r.more {
				ended++
			}
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			r.keep(b)
			break
		}
		line := b[:end]
		b = b[end+1:]
		if r.kept > 0 {
			r.keep(line)
			line = r.line[:r.kept]
			r.kept = 0
		}
		h, err := r.dialect.read(line, r.value)
		if err != nil {
			return ended, err
		}
		r.skip, r.more, r.value = h.skip, h.more, h.more
		if h.refused != "" {
			t.refuse(h.refused)
		}
		if h.skip == 0 {
			ended++
		}
	}
	return ended, nil
}

func (r *replies) keep(b []byte) { r.kept += copy(r.line[r.kept:], b) }
