package journal

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"slices"
)

// Entry is one commit of one or more Puts.
type Entry struct {
	// Number is the entry's position in its file. Append sets it.
	Number uint64

	// Commit is the number of the commit. It never decreases from one entry to the next.
	Commit uint64

	Records []Record
}

// Record is a key and its value. A nil Value deletes.
type Record struct{ Key, Value []byte }

const (
	headerSize = 36
	sumSize    = 4

	// MaxPayload bounds the length in a header, so that a damaged length is not trusted. The
	// store's largest commit is below 400 KiB.
	MaxPayload = 512 << 10
)

// Formats of a payload: its first byte.
const (
	formatClear  = 1
	formatSealed = 2
)

// Types of a record: its first byte.
const (
	kindDelete = 0
	kindSet    = 1
)

// magic begins every frame. Its last byte is the version of the format.
var magic = []byte{0xf4, 'T', 'J', 1}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header precedes a payload.
type header struct {
	length uint32
	file   uint64
	number uint64
	commit uint64
}

func (h header) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, h.length)
	dst = binary.BigEndian.AppendUint64(dst, h.file)
	dst = binary.BigEndian.AppendUint64(dst, h.number)
	dst = binary.BigEndian.AppendUint64(dst, h.commit)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseHeader returns the header at the start of b, and whether there is a valid one.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || !bytes.HasPrefix(b, magic) {
		return h, false
	}
	if binary.BigEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return h, false
	}
	h = header{
		length: binary.BigEndian.Uint32(b[4:]),
		file:   binary.BigEndian.Uint64(b[8:]),
		number: binary.BigEndian.Uint64(b[16:]),
		commit: binary.BigEndian.Uint64(b[24:]),
	}
	return h, h.length <= MaxPayload
}

// size is the length of the whole frame.
func (h header) size() int { return headerSize + int(h.length) + sumSize }

// errTooLarge is returned for an entry that does not fit in a frame.
var errTooLarge = errors.New("journal: entry too large")

// framer encodes frames of one file. With a nil aead they are in clear.
type framer struct {
	file  uint64 // the file's random number
	aead  cipher.AEAD
	plain []byte // reused
}

// append appends e as a frame to dst.
func (f *framer) append(dst []byte, e Entry) ([]byte, error) {
	size := recordsSize(e.Records)
	h := header{length: uint32(1 + size), file: f.file, number: e.Number, commit: e.Commit}
	if f.aead != nil {
		h.length += uint32(f.aead.Overhead())
	}
	if size > MaxPayload || h.length > MaxPayload {
		return dst, errTooLarge
	}
	start := len(dst)
	dst = h.append(slices.Grow(dst, h.size()))
	payload := len(dst)
	if f.aead == nil {
		dst = appendRecords(append(dst, formatClear), e.Records)
	} else {
		f.plain = appendRecords(f.plain[:0], e.Records)
		dst = f.aead.Seal(append(dst, formatSealed), nil, f.plain, dst[start:start+headerSize])
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[payload:], castagnoli)), nil
}

// errForeign is returned for a complete frame that does not open.
var errForeign = errors.New("journal: frame cannot be opened")

// openFrame appends the records of a frame with valid sums to recs. They refer to frame or to
// scratch, which is returned grown.
func openFrame(recs []Record, frame, scratch []byte, aead cipher.AEAD) (_ []Record, _ []byte, err error) {
	payload := frame[headerSize : len(frame)-sumSize]
	switch {
	case len(payload) == 0:
		return recs, scratch, errForeign
	case aead == nil && payload[0] == formatClear:
		recs, err = parseRecords(recs, payload[1:])
		return recs, scratch, err
	case aead != nil && payload[0] == formatSealed:
		scratch, err = aead.Open(scratch[:0], nil, payload[1:], frame[:headerSize])
		if err != nil {
			return recs, scratch, errForeign
		}
		recs, err = parseRecords(recs, scratch)
		return recs, scratch, err
	}
	return recs, scratch, errForeign
}

// recordsSize is how many bytes appendRecords appends.
func recordsSize(recs []Record) (n int) {
	for _, r := range recs {
		n += 1 + fieldSize(r.Key)
		if r.Value != nil {
			n += fieldSize(r.Value)
		}
	}
	return n
}

func fieldSize(b []byte) int { return (bits.Len(uint(len(b)|1))+6)/7 + len(b) }

func appendRecords(dst []byte, recs []Record) []byte {
	for _, r := range recs {
		kind := byte(kindSet)
		if r.Value == nil {
			kind = kindDelete
		}
		dst = append(dst, kind)
		dst = append(binary.AppendUvarint(dst, uint64(len(r.Key))), r.Key...)
		if kind == kindSet {
			dst = append(binary.AppendUvarint(dst, uint64(len(r.Value))), r.Value...)
		}
	}
	return dst
}

// parseRecords is the reverse of appendRecords. It appends to recs. The records refer to b.
func parseRecords(recs []Record, b []byte) ([]Record, error) {
	for len(b) > 0 {
		kind := b[0]
		if kind > kindSet {
			return recs, errForeign
		}
		key, rest, ok := cut(b[1:])
		if !ok || len(key) == 0 {
			return recs, errForeign
		}
		r := Record{Key: key}
		if kind == kindSet {
			if r.Value, rest, ok = cut(rest); !ok {
				return recs, errForeign
			}
		}
		recs = append(recs, r)
		b = rest
	}
	return recs, nil
}

// cut splits off a length and that many bytes. The bytes are never nil.
func cut(b []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n:n], b[n:], true
}
