package journal

import (
	"crypto/cipher"
	"io"
	"os"
)

// Tail returns the latest commit of the journal at path, reading only its start and its end. The
// first frame contains the latest commit of everything that a compaction wrote, in whatever order,
// except for entries given to Compact. Entries appended since are in commit order. whole is false
// if the commit is not certain. That is the case if there is no journal, or if its first or last
// bytes are not a frame that opens. Frames in between may be damaged nevertheless.
func Tail(path string, aead cipher.AEAD) (last uint64, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	return tail(f, info.Size(), aead)
}

// tail is Tail for a file of a given size.
func tail(f io.ReaderAt, size int64, aead cipher.AEAD) (last uint64, whole bool, err error) {
	end, err := endOfWritten(f, size)
	if err != nil {
		return 0, false, err
	}
	head := newScanner(f, 0, min(size, headSize), 0, aead)
	head.first = true
	if err := head.scan(nil); err != nil {
		return 0, false, err
	}
	// It contains the last frame, wherever that begins.
	from := max(end-(headerSize+MaxPayload+sumSize), 0)
	s, err := scan(f, from, size, 0, aead, nil)
	if err != nil {
		return 0, false, err
	}
	whole = head.opened > 0 && !head.rep.Damaged() && s.rep.Torn == 0 && s.rep.Err == nil && s.rep.Foreign == 0
	return max(head.rep.Last, s.rep.Last), whole, nil
}

// headSize is more than the size of frame 0, which has no records.
const headSize = 512

// endOfWritten returns the offset after the last nonzero byte of f, whose size is given.
func endOfWritten(f io.ReaderAt, size int64) (int64, error) {
	b := make([]byte, len(zeros))
	for size > 0 {
		n := min(size, int64(len(b)))
		if _, err := f.ReadAt(b[:n], size-n); err != nil {
			return 0, err
		}
		size -= n
		if last := lastWritten(b[:n]); last >= 0 {
			return size + int64(last) + 1, nil
		}
	}
	return 0, nil
}
