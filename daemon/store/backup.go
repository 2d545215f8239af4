package store

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// A backup is three lines of text, as in the header, followed by the records as stored:
//
//	tokend backup 1
//	clear | sealed <hex of a sealed empty value>
//	crc32 <hex of the lines above>
//	length key length value        for each record, lengths as varints; a key is never empty
//	0 length end
//
// end is stored like a value, sealed in a sealed backup. It has the number of the last commit, the
// number of records, and the SHA-256 of all bytes before the 0. A backup that was truncated or
// combined from two backups is therefore rejected.

const backupTitle = "tokend backup 1"

// backupEndKey is the key that the end of a backup is sealed under.
var backupEndKey = systemKey("backup end")

// ErrBackup is returned by Restore if its input is not a complete backup.
var ErrBackup = errors.New("store: not a complete backup")

// Backup writes all records to w, as of the start of the call. Put continues concurrently. Records
// of a sealed store are written sealed with the store's key. Records of a store in clear, secrets
// included, are written in clear. The backup is complete only if Backup returns nil.
func (s *Store) Backup(w io.Writer) error {
	v, err := s.view(nil)
	if err != nil {
		return err
	}
	defer v.close()
	out := newBackupWriter(w)
	h := newHeader(s.sealer)
	h.title = backupTitle
	if _, err := out.Write(h.encode()); err != nil {
		return err
	}
	last := uint64(0)
	for e, err := range v.h.db.storedEntries(v.txn, nil) {
		if err != nil {
			return fmt.Errorf("back up: %w", err)
		}
		if e.key[0] == sequenceKey[0] {
			if bytes.Equal(e.key, sequenceKey) {
				if last, err = v.h.db.number(e.value); err != nil {
					return fmt.Errorf("back up: %w", err)
				}
			}
			continue
		}
		if _, ok := v.over[string(e.key)]; ok {
			continue
		}
		if err := out.record(e.key, e.value); err != nil {
			return err
		}
	}
	for k, p := range v.over {
		last = max(last, p.number)
		if e := p.entry(k, s.sealer); e.value != nil {
			if err := out.record(e.key, e.value); err != nil {
				return err
			}
		}
	}
	return out.end(s.sealer, last)
}

// backupWriter counts the records and hashes the bytes that it writes.
type backupWriter struct {
	w     *bufio.Writer
	sum   hash.Hash
	count uint64
}

func newBackupWriter(w io.Writer) *backupWriter {
	return &backupWriter{w: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
}

func (b *backupWriter) Write(p []byte) (int, error) {
	b.sum.Write(p)
	return b.w.Write(p)
}

// field writes the length of p and p.
func (b *backupWriter) field(p []byte) error {
	if _, err := b.Write(binary.AppendUvarint(nil, uint64(len(p)))); err != nil {
		return err
	}
	_, err := b.Write(p)
	return err
}

func (b *backupWriter) record(key, stored []byte) error {
	b.count++
	if err := b.field(key); err != nil {
		return err
	}
	return b.field(stored)
}

func (b *backupWriter) end(s sealer, last uint64) error {
	var end []byte
	end = binary.BigEndian.AppendUint64(end, last)
	end = binary.BigEndian.AppendUint64(end, b.count)
	end = b.sum.Sum(end) // of everything before the 0
	if err := b.field(nil); err != nil {
		return err
	}
	if err := b.field(s.seal(backupEndKey, end)); err != nil {
		return err
	}
	return b.w.Flush()
}

// source is the input of a backup. It stores the error of a failed read.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// backupReader reads a backup in clear or sealed with one key.
type backupReader struct {
	source source
	r      *bufio.Reader
	sum    hash.Hash
	count  uint64
	sealer sealer
	last   uint64 // number of the last commit; valid after next has returned io.EOF
}

// newBackupReader reads the header of a backup. s is the required key. A backup in clear is
// accepted only with acceptClear or without a key.
func newBackupReader(r io.Reader, s sealer, acceptClear bool) (*backupReader, error) {
	b := &backupReader{source: source{Reader: r}, sum: sha256.New(), sealer: s}
	b.r = bufio.NewReaderSize(&b.source, 64<<10)
	var text strings.Builder
	for range 3 {
		line, err := b.r.ReadSlice('\n')
		if err != nil {
			return nil, b.short()
		}
		text.Write(line)
	}
	h, err := decodeHeader([]byte(text.String()), backupTitle)
	if errors.Is(err, errBadHeader) {
		return nil, ErrBackup
	}
	if err == nil && !h.sealed && acceptClear {
		b.sealer = sealer{}
	}
	if err == nil {
		err = h.admits(b.sealer)
	}
	if err != nil {
		return nil, err
	}
	b.sum.Write([]byte(text.String()))
	return b, nil
}

// next returns the next record: its key, its value in clear and its commit number. After the last
// record it returns io.EOF if the backup is complete, and otherwise ErrBackup. The caller may keep
// key and value.
func (b *backupReader) next() (key, value []byte, number uint64, err error) {
	if next, err := b.r.Peek(1); err == nil && next[0] == 0 {
		return nil, nil, 0, b.end()
	}
	key, err = b.field(MaxKey)
	var stored []byte
	if err == nil {
		stored, err = b.field(MaxValue + 64)
	}
	if err != nil {
		return nil, nil, 0, err
	}
	if value, err = b.sealer.open([]byte{}, key, stored); err != nil {
		return nil, nil, 0, fmt.Errorf("%w: a record cannot be opened", ErrBackup)
	}
	b.count++
	return key, value, numberOf(stored), nil
}

// short returns the reason for an early end of a backup: the source's error, or ErrBackup.
func (b *backupReader) short() error { return cmp.Or(b.source.failed, ErrBackup) }

// field reads a length, at most limit, and that many bytes.
func (b *backupReader) field(limit uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(b.r)
	if err != nil || n > limit {
		return nil, b.short()
	}
	b.sum.Write(binary.AppendUvarint(nil, n))
	p := make([]byte, n)
	if _, err := io.ReadFull(b.r, p); err != nil {
		return nil, b.short()
	}
	b.sum.Write(p)
	return p, nil
}

// end verifies the hash of everything before the end, and that nothing follows.
func (b *backupReader) end() error {
	sum := b.sum.Sum(nil)
	if _, err := b.r.Discard(1); err != nil {
		return ErrBackup
	}
	stored, err := b.field(128)
	if err != nil {
		return err
	}
	end, err := b.sealer.open(nil, backupEndKey, stored)
	if err != nil || len(end) != 16+sha256.Size ||
		binary.BigEndian.Uint64(end[8:]) != b.count || !bytes.Equal(end[16:], sum) {
		return ErrBackup
	}
	if _, err := b.r.ReadByte(); !errors.Is(err, io.EOF) {
		return b.short()
	}
	b.last = binary.BigEndian.Uint64(end)
	return io.EOF
}
