package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tokend/daemon/permit"
	"tokend/daemon/store/inplace"
)

// prepareDir ensures that dir is a directory with mode 0700. It creates a missing directory and
// rejects a wider mode, and files of another user. Chmod follows Mkdir because the umask affects
// Mkdir.
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
	if why := permit.Foreign(dir, permit.Current()); why != "" {
		return faultf(ErrOwner, "the state directory: %s", why)
	}
	return nil
}

// lockDir locks the state directory for this process. The kernel releases the lock when the process
// ends, for whatever reason. No file is created.
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

// inPlace returns an error if dir is no longer the locked directory. The name may now belong to
// another tokend's directory.
func inPlace(dir string, lock *os.File) error {
	is, err := inplace.Is(lock, dir)
	if err == nil && !is {
		return faultf(ErrFailed, "the state directory %s was deleted or moved while in use: restore it, or restart tokend", dir)
	}
	return err
}

// removeEmptyLogs deletes empty logs, which a crash leaves between creation and first write. One of
// them makes Badger's Open fail (Badger issue 2207).
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

// tighten removes all permissions of other users from every file in dir. Badger leaves modes to the
// umask. Until then, the mode of the state directory protects the files.
func tighten(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
			continue // Badger deletes its files in the background
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
