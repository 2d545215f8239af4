package generator

import "bytes"

// longestHead is the length of the stored beginning of an incomplete line. It is enough to parse
// the line: a memcached line contains the key, of up to 250 bytes, and the length after it.
const longestHead = 320

// replies finds the ends of the replies on one connection, in bytes that arrive in arbitrary
// pieces. It stores only what it needs for that.
type replies struct {
	dialect Dialect
	skip    int  // bytes left that are not a line
	more    bool // a line follows after them
	value   bool // the current reply has contained a value
	kept    int  // length of the partial line
	line    [longestHead]byte
}

// reset prepares r for a new connection.
func (r *replies) reset(d Dialect) {
	r.dialect, r.skip, r.more, r.value, r.kept = d, 0, false, false, 0
}

// scan scans received bytes and returns the number of replies that end in them. It counts errors
// among them in t.
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
