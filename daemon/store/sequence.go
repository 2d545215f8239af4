package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"tokend/daemon/store/inplace"
)

// mark is a file outside of Badger with the number of the last commit. It has two slots that are
// written alternately, so that a torn write destroys only the older number:
//
//	slot  number[8] crc32[4], big endian, at offset 0 and 512
//
// The mark is written after the commit, so it is never ahead of Badger. It is written without a
// sync, which costs a microsecond instead of a second write to the disk. The package documentation
// describes the limits.
type mark struct{ f *os.File }

const (
	markFile   = "SEQUENCE"
	markSize   = 12
	markStride = 512 // one sector, so that two slots are never torn together
)

// openMark opens the mark in dir and returns its number, or 0 if no slot is readable. damaged
// reports whether a slot is neither empty nor valid.
func openMark(dir string) (m mark, last uint64, damaged bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, markFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return mark{}, 0, false, err
	}
	var b [markSize]byte
	for slot := range int64(2) {
		if n, _ := f.ReadAt(b[:], slot*markStride); n < markSize {
			continue
		}
		if binary.BigEndian.Uint32(b[8:]) == crc32.ChecksumIEEE(b[:8]) {
			last = max(last, binary.BigEndian.Uint64(b[:8]))
		} else if b != [markSize]byte{} {
			damaged = true
		}
	}
	return mark{f}, last, damaged, nil
}

// set writes number n.
func (m mark) set(n uint64) error {
	var b [markSize]byte
	binary.BigEndian.PutUint64(b[:8], n)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	_, err := m.f.WriteAt(b[:], int64(n%2)*markStride)
	return err
}

// inPlace reports whether the mark is still the file in dir. A restart would not find commits to a
// database that was deleted or moved.
func (m mark) inPlace(dir string) bool {
	is, err := inplace.Is(m.f, filepath.Join(dir, markFile))
	return err == nil && is
}

// close syncs and closes the file. It does nothing for the zero mark.
func (m mark) close() error {
	if m.f == nil {
		return nil
	}
	return errors.Join(m.f.Sync(), m.f.Close())
}
