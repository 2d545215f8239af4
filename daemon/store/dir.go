package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tokend/daemon/store/inplace"
)

// prepareDir makes sure that dir is a directory of mode 0700: made so where it is
// missing, refused where it is wider. The mode is set after Mkdir, which the umask
// has a say in.
func prepareDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return os.Chmod(dir, 0o700)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return faultf(fs.ErrInvalid, "the state directory %s is not a directory", dir)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return faultf(ErrMode, "the state directory %s is open to others (mode %04o): chmod 0700 %s", dir, mode, dir)
	}
	return nil
}

// lockDir takes the state directory for this process. The kernel lets go of the
// lock when the process ends, however it ends; no file is made.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, faultf(ErrLocked, "another tokend is using %s", dir)
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return f, nil
}

// inPlace returns why dir is not the directory any more that lock is for, or nil. Another may be
// another tokend's by now.
func inPlace(dir string, lock *os.File) error {
	is, err := inplace.Is(lock, dir)
	if err == nil && !is {
		return faultf(ErrFailed, "the state directory %s was deleted, or moved away, while it was in use: put it back, or start tokend again", dir)
	}
	return err
}

// removeEmptyLogs deletes the zero-byte logs that a crash leaves between their
// creation and first write: one makes Badger's Open fail (its issue 2207).
func removeEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".mem") && !strings.HasSuffix(e.Name(), ".vlog") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// tighten takes from every file in dir what others might do with it. Badger
// leaves modes to the umask; the directory above keeps others out meanwhile.
func tighten(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
			continue // Badger deletes files of its own in the background
		}
		if err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dir, e.Name()), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// syncDir makes renames in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
