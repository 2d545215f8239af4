package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Errors that a caller may branch on. What Open returns wraps one of the first five, or ErrDiskFull
// or ErrFailed, with a text that is fit to be shown as it is, and has then changed nothing on disk.
var (
	// ErrLocked: another process has the state directory open.
	ErrLocked = errors.New("store: in use by another process")

	// ErrKey: the key is wrong, missing or malformed.
	ErrKey = errors.New("store: wrong key")

	// ErrClear: the store or the backup is in clear although there is a key: anybody who can write
	// files may have made it. Config.AcceptClear seals it.
	ErrClear = errors.New("store: in clear although a key is configured")

	// ErrVersion: another version of tokend wrote the store, in a form that this one
	// does not know.
	ErrVersion = errors.New("store: unknown version")

	// ErrMode: others than the owner can read the state directory.
	ErrMode = errors.New("store: state directory is open to others")

	// ErrDiskFull: there is less free space than Badger needs to stay alive.
	// Nothing was written; the same Put may be tried again later.
	ErrDiskFull = errors.New("store: disk full")

	// ErrFailed: the disk refused a commit. What became of that commit is
	// unknown, and what a later one would write behind it might not be found again;
	// so all further ones are refused until the store has opened its database anew, which it
	// does by itself as soon as the disk permits. Until then reads may fail with it too. From Open:
	// the disk refuses what must be written there; nothing has been moved aside.
	ErrFailed = errors.New("store: the disk failed")

	// ErrTooLarge: a record or a Put exceeds what one transaction holds.
	ErrTooLarge = errors.New("store: record too large")

	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store: closed")

	// ErrSealed: a record does not open: it was altered, moved under
	// another key, or not sealed at all.
	ErrSealed = errors.New("store: record cannot be opened")

	// errDamaged marks a database that cannot be read.
	errDamaged = errors.New("store: damaged")
)

// fault is an error of a kind whose text stands for itself.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// surroundings are errors that tell of the host and not of the database: starting
// over with an empty database would not mend any of them, and would cost what
// the full one knows.
var surroundings = []error{
	ErrLocked, ErrKey, ErrClear, ErrVersion, ErrDiskFull, ErrFailed, fs.ErrPermission, syscall.EACCES, syscall.EPERM,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
}

// diagnose says what err is, which has come of opening the database in dir: unless the surroundings
// explain it or the disk refuses, the database is damaged.
func diagnose(dir string, err error) error {
	for _, s := range surroundings {
		if is(err, s) {
			return err
		}
	}
	if refused(err) {
		return refusal(dir, err)
	}
	return fmt.Errorf("%w: %s", errDamaged, plain(err))
}

// passing reports whether err, a refusal or what looks like damage, may be gone at the next
// attempt.
func passing(err error) bool { return err != nil && is(err, syscall.EIO) }

// is is errors.Is, also for what Badger has wrapped: it keeps the text of an error only.
func is(err, target error) bool {
	errno, ok := target.(syscall.Errno)
	return errors.Is(err, target) || ok && strings.Contains(err.Error(), errno.Error())
}
