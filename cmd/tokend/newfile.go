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

// errExists reports an existing file that must not be replaced.
var errExists = errors.New("already exists")

// writeNew creates the file path with mode 0600 and the content that fill writes. The file gets its
// name when it is complete and durable. Until then, and after an error, path is unchanged. An
// existing regular file is replaced only with force, and another kind of file never.
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
			_ = f.Close() // may be closed already
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
		return nil // the directory is not readable: the kernel syncs it later
	}
	_ = d.Sync() // some file systems cannot sync, and the file has its name
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
