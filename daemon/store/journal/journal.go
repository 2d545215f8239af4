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
	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// ErrKey is returned by Open and Check for a journal in which no frame opens: it was
// sealed with another key, or is not sealed as it should be. Nothing has been changed.
var ErrKey = errors.New("journal: sealed with another key")

// ErrFailed is returned by Append after the disk has refused an earlier one in a way that
// leaves it open what is on it. A successful Compact ends that.
var ErrFailed = errors.New("journal: the disk failed")

// ErrDamaged is returned by Compact for a journal that was whole when it was opened and cannot be
// read any more.
var ErrDamaged = errors.New("journal: damaged while it was in use")

// errGone is why nothing is appended to a journal that no restart would find.
var errGone = errors.New("deleted, or moved away, while it was in use")

// errUnread is why nothing is appended to a journal that is damaged.
var errUnread = errors.New("damaged, and not yet rewritten")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("journal: closed")

// Journal is an open journal. Its methods may be called concurrently. What else writes
// to the file must be kept out by the caller.
type Journal struct {
	// Set by Open, read-only after.
	path string
	aead cipher.AEAD

	compacting sync.Mutex // held during a compaction; before mu

	mu       sync.Mutex
	f        *file // nil once closed
	framer   framer
	frame    []byte // reused
	next     uint64 // number of the next frame
	last     uint64 // latest commit
	end      int64  // of the last frame
	reserved int64  // of the file: from end to here are zeros
	tight    bool   // there was no room to be reserved
	yields   bool   // what room there is is a compaction's
	base     int64  // end of what the last compaction has left
	failed   error  // why nothing is appended any more; nil while all is well
}

// Open opens the journal at path, or makes one: it is Scan, and Open of what that returns.
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
	f    *os.File // nil where there is no journal
	scan *scanner
}

// Scan reads the journal at path and changes nothing; that there is none is no error. A nil aead
// reads entries in clear; what is sealed must carry its own nonce, as
// [cipher.NewGCMWithRandomNonce] does. visit, if not nil, is called for each entry in turn and ends
// the reading by an error; the entry is valid during the call.
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
		_ = f.Close() // a power cut may leave that of a file just made
		return s, nil
	}
	if s.scan, err = scanFile(f, aead, false, visit); err != nil {
		_ = f.Close()
		return nil, err
	}
	s.f = f
	return s, nil
}

// Close gives up what has been read.
func (s *Scanned) Close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// Open opens the journal, which nobody has written to since it was read, or makes one. A torn end
// is cut off; a damaged journal is left as it is, and goes on being one until Compact.
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
		// Not a byte is written behind what cannot be read.
		j.failed = errUnread
	case rep.Torn > 0:
		if err := errors.Join(j.cut(), j.f.Sync()); err != nil {
			return nil, Report{}, fmt.Errorf("journal: cut off a torn end: %w", err)
		}
	default:
		if info, err := j.f.Stat(); err == nil && Sparse(info) {
			_ = j.cut() // it is written again; else it stays as it is
		}
	}
	if j.failed == nil {
		j.reserve(0) // before somebody else takes the room
	}
	s.f = nil // it is the journal's
	return j, rep, nil
}

// Check returns nil if aead opens the journal at path, as far as can be told from the first frame
// that is whole, ErrKey if it does not, and fs.ErrNotExist where there is none. It changes nothing.
func Check(path string, aead cipher.AEAD) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = scanFile(f, aead, true, nil)
	return err
}

// scanFile scans the whole of f, or up to the first frame that opens.
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

// Append makes e durable, all of it or nothing, before it returns. After an error it is not
// read again, except after ErrFailed, where that is not known.
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
		// Nothing was synced: what is there of it is no frame, and goes.
		if cut := j.cut(); cut != nil {
			j.failed = errors.Join(err, cut)
		}
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.f.datasync(); err != nil {
		// The kernel may have dropped the pages or may write them yet.
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

// inPlace returns why a restart would not find what is written to j.f, or nil. mu is held.
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

// Grown returns how long the journal is in bytes, and how much of that has been appended
// since the last compaction began.
func (j *Journal) Grown() (size, since int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end, j.end - j.base
}

// Read calls visit for each entry that was durable when it began, as Open does.
func (j *Journal) Read(visit func(Entry) error) error {
	was, err := j.snapshot()
	if err != nil {
		return err
	}
	defer was.f.Close()
	_, err = scan(was.f, 0, was.end, 0, j.aead, visit)
	return err
}

// snapshot is a journal as it was at one moment.
type snapshot struct {
	f     *os.File // a handle of its own, which a compaction does not take away
	end   int64    // of what is durable
	next  uint64   // number of the frame that comes there
	last  uint64
	bad   func(operation string) error // see Refuse
	sound bool                         // all of that could be read when it was opened, or was written since
}

func (j *Journal) snapshot() (snapshot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return snapshot{}, ErrClosed
	}
	// Not by its name, under which it may not be any more.
	fd, err := unix.FcntlInt(j.f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return snapshot{}, os.NewSyscallError("dup", err)
	}
	return snapshot{os.NewFile(uintptr(fd), j.path), j.end, j.next, j.last, j.f.refuse, !errors.Is(j.failed, errUnread)}, nil
}

// Close ends the journal. What was appended is durable before. Closing twice is no
// error.
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
		_ = j.cut() // it is but shorter to read
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
