package journal

import (
	"bufio"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
)

// Compact rewrites the journal to the newest record of each key that keep selects, and to the
// entries that more yields. Entries of more are omitted if the journal has the same key from the
// same or a later commit. Deletions are records too. An error from more is returned. If more is
// nil, a journal that was damaged since it was opened is not rewritten, and the error is
// ErrDamaged. With more, the readable entries are kept. Append continues concurrently, except
// during the last step. After an error the journal is unchanged or failed.
func (j *Journal) Compact(keep func(commit uint64, r Record) bool, more iter.Seq2[Entry, error]) error {
	j.compacting.Lock()
	defer j.compacting.Unlock()
	was, err := j.snapshot()
	if err != nil {
		return err
	}
	defer was.f.Close()
	j.giveBack()
	defer j.take()
	w, err := create(j.path+newSuffix, j.aead)
	if err != nil {
		return err
	}
	w.f.refuse = was.bad
	err = w.head(was.last)
	if err == nil {
		err = j.copyLive(w, was, keep, more)
	}
	base := w.end
	if err == nil {
		// This sync does most of the waiting, before Append has to wait.
		err = w.sync()
	}
	for behind, n := true, 0; err == nil && behind && n < catchUps; n++ {
		behind, err = j.catchUp(w, &was)
	}
	if err == nil {
		err = j.takeOver(w, was, base)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("compact the journal: %w", err), w.abandon())
	}
	return nil
}

// newSuffix is added to the name of a journal that is being written.
const newSuffix = ".new"

// copyLive writes the entries of was and more that are to be kept to w.
func (j *Journal) copyLive(w *writer, was snapshot, keep func(uint64, Record) bool, more iter.Seq2[Entry, error]) error {
	index := NewIndex()
	read := func(visit func(Entry) error) error {
		s, err := scan(was.f, 0, was.end, 0, j.aead, visit)
		if err == nil && was.sound && more == nil {
			err = s.whole(was.next)
		}
		return err
	}
	if err := read(func(e Entry) error {
		index.Add(e)
		return nil
	}); err != nil {
		return err
	}
	if err := read(func(e Entry) error {
		for i, r := range e.Records {
			if !index.Newest(e, i) || !keep(e.Commit, r) {
				continue
			}
			if err := w.write(Entry{Commit: e.Commit, Records: e.Records[i : i+1]}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if more == nil {
		return nil
	}
	for e, err := range more {
		if err != nil {
			return err
		}
		for i, r := range e.Records {
			if ref, ok := index.Get(r.Key); ok && ref.Commit >= e.Commit {
				continue
			}
			if err := w.write(Entry{Commit: e.Commit, Records: e.Records[i : i+1]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Entries appended during a compaction are copied without blocking Append while they exceed
// catchUpFrom bytes, at most catchUps times. Each time there are fewer.
const (
	catchUps    = 4
	catchUpFrom = 128 << 10
)

// catchUp copies to w what was appended since was, and advances was. It reports whether there was
// enough to copy.
func (j *Journal) catchUp(w *writer, was *snapshot) (caughtUp bool, err error) {
	j.mu.Lock()
	end, next := j.end, j.next
	j.mu.Unlock()
	if end-was.end < catchUpFrom {
		return false, nil
	}
	if err := was.copyTo(w, end, next); err != nil {
		return false, err
	}
	was.end, was.next = end, next
	return true, w.sync()
}

// copyTo copies to w what was appended since was up to end, where the frame number next begins. It
// returns an error unless it copied everything.
func (was snapshot) copyTo(w *writer, end int64, next uint64) error {
	s, err := scan(was.f, was.end, end, was.next, w.framer.aead, w.write)
	if err == nil {
		err = s.whole(next)
	}
	return err
}

// takeOver copies to w what was appended since was, and replaces the journal's file by w's. base is
// the size of w before anything was added.
func (j *Journal) takeOver(w *writer, was snapshot, base int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return ErrClosed
	}
	if j.end > was.end {
		if err := was.copyTo(w, j.end, j.next); err != nil {
			return err
		}
		if err := w.sync(); err != nil {
			return err
		}
	}
	if err := os.Rename(w.f.Name(), j.path); err != nil {
		return err
	}
	// From here on the new file is the journal, even if syncDir fails. But if a power cut may undo
	// the rename, the journal must not accept entries.
	_ = j.f.Close()
	j.f, j.framer.file, j.next, j.end, j.reserved, j.base = w.f, w.framer.file, w.next, w.end, w.end, base
	j.last = w.last // w has everything that was appended
	j.failed = syncDir(j.path)
	return j.failed
}

// Create writes a journal at path, replacing any other, with last as its latest commit and the
// given entries. A nil entries is empty. The journal is durable when Create returns nil.
func Create(path string, aead cipher.AEAD, last uint64, entries iter.Seq2[Entry, error]) error {
	w, err := create(path+newSuffix, aead)
	if err != nil {
		return err
	}
	err = w.head(last)
	if err == nil && entries != nil {
		for e, failed := range entries {
			if err = failed; err == nil {
				err = w.write(e)
			}
			if err != nil {
				break
			}
		}
	}
	if err == nil {
		err = w.sync()
	}
	if err != nil {
		return errors.Join(err, w.abandon())
	}
	return errors.Join(w.f.Close(), os.Rename(path+newSuffix, path), syncDir(path))
}

// writer writes a new journal.
type writer struct {
	f      *file
	buf    *bufio.Writer
	framer framer

	next, last uint64
	end        int64
	frame      []byte // reused
}

func create(path string, aead cipher.AEAD) (*writer, error) {
	opened, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	f := &file{File: opened}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return &writer{f: f, buf: bufio.NewWriterSize(f, 64<<10), framer: framer{file: binary.BigEndian.Uint64(id[:]), aead: aead}}, nil
}

// head writes frame 0.
func (w *writer) head(last uint64) error { return w.write(Entry{Commit: last}) }

// write appends e with a new number.
func (w *writer) write(e Entry) (err error) {
	e.Number = w.next
	if w.frame, err = w.framer.append(w.frame[:0], e); err != nil {
		return err
	}
	if _, err := w.buf.Write(w.frame); err != nil {
		return err
	}
	w.next++
	w.end += int64(len(w.frame))
	w.last = max(w.last, e.Commit)
	return nil
}

// sync makes everything written so far durable.
func (w *writer) sync() error { return errors.Join(w.buf.Flush(), w.f.Sync()) }

// abandon deletes the file unless it has become the journal.
func (w *writer) abandon() error {
	if _, err := os.Stat(w.f.Name()); err != nil {
		return nil // renamed: it is in use
	}
	return errors.Join(w.f.Close(), os.Remove(w.f.Name()))
}
