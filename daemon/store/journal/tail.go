package journal

import (
	"crypto/cipher"
	"io"
	"os"
)

// Tail returns the latest commit that the journal at path knows of, without reading more of it than
// its ends: what a compaction has written, in whatever order, is of no later commit than the first
// frame tells of, but for what Compact was given besides; and what was appended since comes in the
// order of the commits. whole is false where that cannot be told so: there is no journal, or its
// first bytes or its last ones are not those of a frame that opens. What lies between them may be
// damaged all the same.
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

// tail is Tail of a file of a size.
func tail(f io.ReaderAt, size int64, aead cipher.AEAD) (last uint64, whole bool, err error) {
	end, err := endOfWritten(f, size)
	if err != nil {
		return 0, false, err
	}
	head := newScanner(f, 0, min(size, headRoom), 0, aead)
	head.first = true
	if err := head.scan(nil); err != nil {
		return 0, false, err
	}
	// The last frame lies in it, wherever it begins.
	from := max(end-(headerSize+MaxPayload+sumSize), 0)
	s, err := scan(f, from, size, 0, aead, nil)
	if err != nil {
		return 0, false, err
	}
	whole = head.opened > 0 && !head.rep.Damaged() && s.rep.Torn == 0 && s.rep.Err == nil && s.rep.Foreign == 0
	return max(head.rep.Last, s.rep.Last), whole, nil
}

// headRoom is more bytes than frame 0 takes, which has no records.
const headRoom = 512

// endOfWritten returns the end of the last byte of f, of a size, that is not zero.
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
