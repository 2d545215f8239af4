package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"tokend/daemon/store/inplace"
)

// mark is the file that names the last commit outside of Badger. It has two
// slots, written in turn, so that a torn write spoils the older number only:
//
//	slot  number[8] crc32[4], big endian, at offset 0 and 512
//
// It is written after the commit, so it never runs ahead of what Badger has made
// durable, and without a sync, so it costs a microsecond and not a second
// write to the disk; package documentation says what that leaves open.
type mark struct{ f *os.File }

const (
	markFile   = "SEQUENCE"
	markSize   = 12
	markStride = 512 // a sector: two slots are never torn together
)

// openMark opens the mark in dir and returns the number in it; 0 where there is
// none that can be read. damaged reports whether one of its slots is neither empty nor whole.
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

// inPlace reports whether the mark is still the one in dir: what is committed to a database that
// was deleted, or moved away, no restart finds.
func (m mark) inPlace(dir string) bool {
	is, err := inplace.Is(m.f, filepath.Join(dir, markFile))
	return err == nil && is
}

// close syncs and closes the file. The zero mark has none.
func (m mark) close() error {
	if m.f == nil {
		return nil
	}
	return errors.Join(m.f.Sync(), m.f.Close())
}
