package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Errors that a caller may branch on. An error of Open wraps one of the first five, ErrDiskFull or
// ErrFailed. Its text can be shown to an operator, and Open has changed nothing on disk.
var (
	// ErrLocked: another process has the state directory open.
	ErrLocked = errors.New("store: in use by another process")

	// ErrKey: the key is wrong, missing or malformed.
	ErrKey = errors.New("store: wrong key")

	// ErrClear: the store or the backup is in clear although there is a key. Anyone with write
	// access could have created it. Config.AcceptClear seals it.
	ErrClear = errors.New("store: in clear although a key is configured")

	// ErrVersion: another version of tokend wrote the store in an unknown format.
	ErrVersion = errors.New("store: unknown version")

	// ErrMode: users other than the owner can access the state directory.
	ErrMode = errors.New("store: state directory is open to others")

	// ErrOwner: a part of the state directory belongs to another user. As root, the daemon would
	// leave files there that its own user cannot open.
	ErrOwner = errors.New("store: state directory of another user")

	// ErrDiskFull: there is less free space than Badger needs to survive. Nothing was written. The
	// same Put may be retried later.
	ErrDiskFull = errors.New("store: disk full")

	// ErrFailed: the disk rejected a commit. It is unknown whether that commit is on disk, and
	// later commits might not be found again. Further commits are therefore rejected until the
	// store has reopened its database, which it does by itself as soon as the disk permits. Until
	// then reads may fail with ErrFailed too. From Open: the disk rejects the writes that Open
	// needs. Nothing was moved aside.
	ErrFailed = errors.New("store: the disk failed")

	// ErrTooLarge: a record or a Put exceeds the size of a transaction.
	ErrTooLarge = errors.New("store: record too large")

	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store: closed")

	// ErrSealed: a record does not open. It was altered, moved to another key, or not sealed.
	ErrSealed = errors.New("store: record cannot be opened")

	// errDamaged marks a database that cannot be read.
	errDamaged = errors.New("store: damaged")
)

// fault is an error of a kind with a complete text of its own.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// surroundings are errors of the host, not of the database. An empty database would fix none of
// them and would lose the content of the existing one.
var surroundings = []error{
	ErrLocked, ErrKey, ErrClear, ErrVersion, ErrDiskFull, ErrFailed, fs.ErrPermission, syscall.EACCES, syscall.EPERM,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
}

// diagnose classifies err, which occurred when opening the database in dir. If neither the
// surroundings nor a disk that rejects writes explain it, the database is damaged.
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

// passing reports whether err, an error of the disk or apparent damage, may disappear on a retry.
func passing(err error) bool { return err != nil && is(err, syscall.EIO) }

// is is errors.Is, but also recognizes errors that Badger wraps. Badger keeps only an error's text.
func is(err, target error) bool {
	errno, ok := target.(syscall.Errno)
	return errors.Is(err, target) || ok && strings.Contains(err.Error(), errno.Error())
}
