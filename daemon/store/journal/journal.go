package journal

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"tokend/daemon/store/inplace"
	_ "tokend/daemon/system" // makes the build fail with a clear error on unsupported systems
)

// ErrKey is returned by Open and Check for a journal in which no frame opens: it was sealed with
// another key, or is not sealed. Nothing has been changed.
var ErrKey = errors.New("journal: sealed with another key")

// ErrFailed is returned by Append after the disk rejected an earlier Append in a way that leaves
// its content unknown. A successful Compact clears the failure.
var ErrFailed = errors.New("journal: the disk failed")

// ErrDamaged is returned by Compact for a journal that was intact when it was opened and is no
// longer readable.
var ErrDamaged = errors.New("journal: damaged while it was in use")

// errGone is why a journal that a restart would not find accepts no entries.
var errGone = errors.New("deleted or moved while in use")

// errUnread is why a damaged journal accepts no entries.
var errUnread = errors.New("damaged, and not yet rewritten")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("journal: closed")

// Journal is an open journal. Its methods may be called concurrently. The caller must keep other
// writers away from the file.
type Journal struct {
	// Set by Open, read-only after.
	path string
	aead cipher.AEAD

	compacting sync.Mutex // held during a compaction; locked before mu

	mu       sync.Mutex
	f        *file // nil once closed
	framer   framer
	frame    []byte // reused
	next     uint64 // number of the next frame
	last     uint64 // the latest commit
	end      int64  // end of the last frame
	reserved int64  // end of the file: zeros from end to here
	tight    bool   // no disk space could be reserved
	yields   bool   // free space is left to a compaction
	base     int64  // end of the last compaction's output
	failed   error  // why Append is rejected; nil if it is not
}

// Open opens or creates the journal at path. It calls Scan and then Scanned.Open.
func Open(path string, aead cipher.AEAD, visit func(Entry) error) (*Journal, Report, error) {
	s, err := Scan(path, aead, visit)
	if err != nil {
		return nil, Report{}, err
	}
	return s.Open()
}

// Scanned is a journal that has been read and is not yet in use. Open or Close ends it.
type Scanned struct {
	path string
	aead cipher.AEAD
	f    *os.File // nil if there is no journal
	scan *scanner
}

// Scan reads the journal at path without changing it. A missing journal is not an error. With a nil
// aead it reads entries in clear. A sealed journal needs an aead that generates nonces, such as
// [cipher.NewGCMWithRandomNonce]. If visit is not nil, Scan calls it for each entry in order, and
// an error of visit ends the reading. An entry is valid during the call.
func Scan(path string, aead cipher.AEAD, visit func(Entry) error) (*Scanned, error) {
	s := &Scanned{path: path, aead: aead}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if info, e := f.Stat(); e == nil && info.Size() == 0 {
		_ = f.Close() // a power cut may leave a new file empty
		return s, nil
	}
	if s.scan, err = scanFile(f, aead, false, visit); err != nil {
		_ = f.Close()
		return nil, err
	}
	s.f = f
	return s, nil
}

// Close releases the file.
func (s *Scanned) Close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// Open opens the journal, which must not have been written to since it was read, or creates one. It
// cuts off a torn end. It leaves a damaged journal as it is; the journal then accepts no entries
// until Compact.
func (s *Scanned) Open() (_ *Journal, _ Report, err error) {
	made := s.f == nil
	if made {
		if err := Create(s.path, s.aead, 0, nil); err != nil {
			return nil, Report{}, err
		}
		again, err := Scan(s.path, s.aead, nil)
		if err != nil {
			return nil, Report{}, err
		}
		s.f, s.scan = again.f, again.scan
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	rep := s.scan.rep
	rep.Made = made
	j := &Journal{path: s.path, aead: s.aead, f: &file{File: s.f}, framer: framer{file: s.scan.file, aead: s.aead}, next: s.scan.next, last: rep.Last, end: s.scan.good, base: s.scan.good, reserved: s.scan.at}
	switch {
	case rep.Damaged() || s.scan.opened == 0:
		// Nothing is written after unreadable bytes.
		j.failed = errUnread
	case rep.Torn > 0:
		if err := errors.Join(j.cut(), j.f.Sync()); err != nil {
			return nil, Report{}, fmt.Errorf("journal: cut off a torn end: %w", err)
		}
	default:
		if info, err := j.f.Stat(); err == nil && Sparse(info) {
			_ = j.cut() // reserve writes the space again; on failure it stays sparse
		}
	}
	if j.failed == nil {
		j.reserve(0) // before another program takes the space
	}
	s.f = nil // owned by the journal now
	return j, rep, nil
}

// Check returns nil if aead opens the journal at path, judged by the first complete frame. It
// returns ErrKey if not, and fs.ErrNotExist if there is no journal. It changes nothing.
func Check(path string, aead cipher.AEAD) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = scanFile(f, aead, true, nil)
	return err
}

// scanFile scans all of f, or only up to the first frame that opens.
func scanFile(f *os.File, aead cipher.AEAD, first bool, visit func(Entry) error) (*scanner, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := newScanner(f, 0, info.Size(), 0, aead)
	s.first = first
	err = s.scan(visit)
	if err == nil && s.opened == 0 && s.rep.Foreign > 0 {
		err = ErrKey
	}
	return s, err
}

// Append makes e durable, completely or not at all, before it returns. After an error, e will not
// be read, except after ErrFailed, where that is unknown.
func (j *Journal) Append(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.usable()
	if err == nil {
		if err = j.inPlace(); err != nil {
			j.failed = err
			err = fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
	if err != nil {
		return err
	}
	e.Number = j.next
	frame, err := j.framer.append(j.frame[:0], e)
	if err != nil {
		return err
	}
	j.frame = frame
	j.reserve(int64(len(frame)))
	if _, err := j.f.WriteAt(frame, j.end); err != nil {
		// Nothing was synced. The partial frame is cut off.
		if cut := j.cut(); cut != nil {
			j.failed = errors.Join(err, cut)
		}
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.f.datasync(); err != nil {
		// The kernel may have dropped the pages, or may still write them.
		j.failed = errors.Join(err, j.cut())
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	j.end += int64(len(frame))
	j.reserved = max(j.reserved, j.end)
	j.next++
	j.last = max(j.last, e.Commit)
	return nil
}

// usable returns why nothing can be appended, or nil. mu is held.
func (j *Journal) usable() error {
	switch {
	case j.f == nil:
		return ErrClosed
	case j.failed != nil:
		return fmt.Errorf("%w: %w", ErrFailed, j.failed)
	}
	return nil
}

// inPlace returns why a restart would not find writes to j.f, or nil. mu is held.
func (j *Journal) inPlace() error {
	is, err := inplace.Is(j.f.File, j.path)
	if err == nil && !is {
		err = errGone
	}
	return err
}

// Failed returns why nothing is appended any more, or nil.
func (j *Journal) Failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Grown returns the size of the journal in bytes, and how much of it was appended since the last
// compaction began.
func (j *Journal) Grown() (size, since int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end, j.end - j.base
}

// Read calls visit for each entry that was durable when Read began, as Open does.
func (j *Journal) Read(visit func(Entry) error) error {
	was, err := j.snapshot()
	if err != nil {
		return err
	}
	defer was.f.Close()
	_, err = scan(was.f, 0, was.end, 0, j.aead, visit)
	return err
}

// snapshot is the state of a journal at one moment.
type snapshot struct {
	f     *os.File // a duplicated descriptor, which a compaction does not close
	end   int64    // end of the durable frames
	next  uint64   // number of the frame at end
	last  uint64
	bad   func(operation string) error // see Refuse
	sound bool                         // everything up to end was readable at open, or has been written since
}

func (j *Journal) snapshot() (snapshot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return snapshot{}, ErrClosed
	}
	// Not opened by name, because the name may be gone.
	fd, err := unix.FcntlInt(j.f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return snapshot{}, os.NewSyscallError("dup", err)
	}
	return snapshot{os.NewFile(uintptr(fd), j.path), j.end, j.next, j.last, j.f.refuse, !errors.Is(j.failed, errUnread)}, nil
}

// Close closes the journal. Appended entries are durable before. Closing twice is not an error.
func (j *Journal) Close() error {
	j.compacting.Lock()
	defer j.compacting.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	f := j.f
	if j.failed == nil {
		_ = j.cut() // only makes the file shorter to read
	}
	j.f = nil
	return f.Close()
}

// syncDir makes the names in the directory of path durable.
func syncDir(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
