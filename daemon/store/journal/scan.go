package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Report is the result of reading a journal.
type Report struct {
	// Made: there was no journal, or an empty file, and a new one was created.
	Made bool

	// Entries counts the entries that were read. Last is the latest commit in the journal, or zero.
	Entries int
	Last    uint64

	// Torn is how many bytes after the last frame were cut off, not counting trailing zeros. A kill
	// during an append leaves them, or damage to the last entries.
	Torn int64

	// Skipped counts the unreadable bytes before that, Lost the missing entries by number, and
	// Foreign the complete frames that do not open.
	Skipped int64
	Lost    uint64
	Foreign int

	// Err is the disk error that ended the reading, or nil.
	Err error
}

// Damaged reports whether acknowledged entries could not be read.
func (r Report) Damaged() bool {
	return r.Skipped > 0 || r.Lost > 0 || r.Foreign > 0 || r.Err != nil
}

// scanner reads the frames of a part of a file.
type scanner struct {
	r    *bufio.Reader
	aead cipher.AEAD
	rep  Report

	at      int64 // offset of the next byte
	good    int64 // end of the last readable frame
	skipped int64 // bytes since then
	written int64 // end of the last nonzero byte of these
	scratch []byte
	recs    []Record // of the entry being visited

	file    uint64 // of the first frame
	next    uint64 // expected number of the next frame
	started bool   // a valid frame has been read
	opened  int    // number of opened frames, including frame 0
	first   bool   // stop after the first frame that opens
}

// newScanner returns a scanner of f between from and to. first is the number of the first frame;
// from is 0 if first is 0.
func newScanner(f io.ReaderAt, from, to int64, first uint64, aead cipher.AEAD) *scanner {
	return &scanner{
		r:    bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), int(min(to-from, headerSize+MaxPayload+sumSize))),
		aead: aead, at: from, good: from, next: first,
	}
}

// scan calls visit for each entry of f, with newScanner's arguments. An entry is valid during its
// visit.
func scan(f io.ReaderAt, from, to int64, first uint64, aead cipher.AEAD, visit func(Entry) error) (*scanner, error) {
	s := newScanner(f, from, to, first, aead)
	return s, s.scan(visit)
}

// scan calls visit, if not nil, for each entry.
func (s *scanner) scan(visit func(Entry) error) error {
	for {
		e, ok := s.frame()
		if !ok {
			break
		}
		if visit == nil {
			continue
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	s.rep.Torn = max(s.written-s.good, 0)
	return nil
}

// whole returns ErrDamaged unless all frames before number next were read.
func (s *scanner) whole(next uint64) error {
	if s.rep.Damaged() || s.next != next {
		return errors.Join(ErrDamaged, s.rep.Err)
	}
	return nil
}

// frame returns the next readable entry, or false at the end.
func (s *scanner) frame() (Entry, bool) {
	for {
		b, err := s.r.Peek(headerSize)
		if err != nil {
			s.end(err)
			return Entry{}, false
		}
		h, ok := parseHeader(b)
		if !ok {
			s.seek()
			continue
		}
		frame, err := s.r.Peek(h.size())
		if err != nil {
			// The header is valid and the payload is truncated. What follows could be intact only
			// if the file had been cut in the middle.
			s.end(err)
			return Entry{}, false
		}
		payload := frame[headerSize : len(frame)-sumSize]
		if binary.BigEndian.Uint32(frame[len(frame)-sumSize:]) != crc32.Checksum(payload, castagnoli) {
			s.skip(len(frame))
			continue
		}
		if s.started && (h.file != s.file || h.number < s.next) {
			// Of another file, or repeated: inserted by somebody.
			s.rep.Foreign++
			s.skip(len(frame))
			continue
		}
		s.recs, s.scratch, err = openFrame(s.recs[:0], frame, s.scratch, s.aead)
		if err != nil {
			s.rep.Foreign++
			s.skip(len(frame))
			continue
		}
		s.take(h, len(frame))
		if s.first {
			return Entry{}, false
		}
		if h.number == 0 {
			continue
		}
		s.rep.Entries++
		return Entry{Number: h.number, Commit: h.commit, Records: s.recs}, true
	}
}

// take counts a frame that was read. Its bytes stay valid until the next Peek.
func (s *scanner) take(h header, size int) {
	if h.number > s.next {
		s.rep.Lost += h.number - s.next
	}
	s.rep.Skipped += s.skipped
	s.rep.Last = max(s.rep.Last, h.commit)
	s.file, s.next, s.started, s.skipped = h.file, h.number+1, true, 0
	s.opened++
	s.discard(size)
	s.good = s.at
}

// skip skips n peeked, unreadable bytes.
func (s *scanner) skip(n int) {
	b, _ := s.r.Peek(n)
	if last := lastWritten(b); last >= 0 {
		s.written = s.at + int64(last) + 1
	}
	s.discard(n)
	s.skipped += int64(n)
}

// lastWritten returns the index of the last nonzero byte of b, or -1.
func lastWritten(b []byte) int {
	for len(b) >= 8 && binary.LittleEndian.Uint64(b[len(b)-8:]) == 0 {
		b = b[:len(b)-8]
	}
	i := len(b) - 1
	for i >= 0 && b[i] == 0 {
		i--
	}
	return i
}

func (s *scanner) discard(n int) {
	n, _ = s.r.Discard(n) // discarding peeked bytes cannot fail
	s.at += int64(n)
}

// seek skips bytes up to the next magic.
func (s *scanner) seek() {
	s.skip(1)
	b, _ := s.r.Peek(min(s.r.Size(), 4096))
	i := bytes.Index(b, magic)
	if i < 0 {
		i = max(len(b)-len(magic)+1, 0) // the magic may span the boundary
	}
	s.skip(i)
}

// end counts the bytes after the last frame.
func (s *scanner) end(err error) {
	for {
		_, last := s.r.Peek(s.r.Size())
		if s.r.Buffered() == 0 {
			break
		}
		s.skip(s.r.Buffered())
		err = cmp.Or(notEnd(err), last)
	}
	s.rep.Err = notEnd(err)
}

// notEnd returns err unless it marks the end of the input or of what can be peeked.
func notEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		return nil
	}
	return err
}
