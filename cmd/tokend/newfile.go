package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// errExists says that there is a file already that is not to be replaced.
var errExists = errors.New("exists already")

// writeNew makes the file path, with mode 0600, of what fill writes. It has that name when it is
// whole and on disk; until then, and after an error, there is what was there before. One that
// exists is replaced only by force, and what is no regular file never.
func writeNew(path string, force bool, fill func(io.Writer) error) (err error) {
	if err := mayWrite(path, force); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tokend-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // twice, perhaps
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), mayWrite(path, force)); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // a directory that can be written to and not read: it will be synced in time
	}
	_ = d.Sync() // some file systems cannot, and the file is where it belongs
	return d.Close()
}

func mayWrite(path string, force bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case !force:
		return fmt.Errorf("%s %w", path, errExists)
	}
	return nil
}

// isTerminal reports whether v, a standard input or output, is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
