package journal

import (
	"crypto/cipher"
	"io"
	"os"
)

// Tail returns the latest commit that the journal at path knows of, without reading more of it than its
// end. whole is false where that cannot be told so: there is no journal, or its last bytes are not those of a frame
// that opens. What lies before them may be damaged all the same.
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
	end, err := endOfWritten(f, info.Size())
	if err != nil {
		return 0, false, err
	}
	// The last frame lies in it, wherever it begins.
	from := max(end-(headerSize+MaxPayload+sumSize), 0)
	s, err := scan(f, from, info.Size(), 0, aead, nil)
	if err != nil {
		return 0, false, err
	}
	return s.rep.Last, s.opened > 0 && s.rep.Torn == 0 && s.rep.Err == nil && s.rep.Foreign == 0, nil
}

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
