package record

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrVersion is returned for a record that a newer tokend wrote.
var ErrVersion = errors.New("unknown record version: the record was written by a newer tokend")

// ErrCorrupt is returned for bytes that no version of tokend writes.
var ErrCorrupt = errors.New("record is damaged")

// encoder appends fields to a record. The order of the calls is the disk format.
type encoder []byte

func (e *encoder) int(v int64)   { *e = binary.AppendVarint(*e, v) }
func (e *encoder) uint(v uint64) { *e = binary.AppendUvarint(*e, v) }
func (e *encoder) text(s string) { e.uint(uint64(len(s))); *e = append(*e, s...) }
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.int(0)
		return
	}
	e.int(t.UnixNano())
}

// decoder reads fields in the order in which they were appended. Fields that an older record lacks
// read as zero. Any other mismatch sets err.
type decoder struct {
	rest []byte
	err  error

	// whole, if set, is a copy of the record. Its end is the end of rest. Decoded texts are
	// substrings of whole.
	whole string
}

// decode checks the version byte of value and returns a decoder of what follows.
func decode(value []byte, version byte) decoder {
	if len(value) == 0 {
		return decoder{err: ErrCorrupt}
	}
	if value[0] != version {
		return decoder{err: ErrVersion}
	}
	return decoder{rest: value[1:]}
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = ErrCorrupt
	}
}

func (d *decoder) done() bool { return d.err != nil || len(d.rest) == 0 }

func (d *decoder) int() int64 {
	if d.done() {
		return 0
	}
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uint() uint64 {
	if d.done() {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uint()
	if d.err != nil {
		return ""
	}
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	var s string
	if from := len(d.whole) - len(d.rest); from >= 0 {
		s = d.whole[from : from+int(n)]
	} else {
		s = string(d.rest[:n])
	}
	d.rest = d.rest[n:]
	return s
}

// skip skips a text and returns its length.
func (d *decoder) skip() (n uint64) {
	n = d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
	}
	if d.err != nil {
		return 0
	}
	d.rest = d.rest[n:]
	return n
}

func (d *decoder) time() time.Time {
	v := d.int()
	if v == 0 || d.err != nil {
		return time.Time{}
	}
	return time.Unix(0, v).UTC()
}
