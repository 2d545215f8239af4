package store

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// limit is a limit that prevents tokend from using its files although the disk works.
type limit struct {
	errno        syscall.Errno
	what, remedy string
}

// The order of limits matters: the text of the first contains the text of the second, and Badger
// keeps only an error's text.
var limits = []limit{
	{syscall.ENFILE, "this host may open no more files", "raise fs.file-max"},
	{syscall.EMFILE, "this process may open no more files", "raise its limit (LimitNOFILE=, or ulimit -n)"},
	{syscall.EFBIG, "this process may not write files of this size", "remove its limit (LimitFSIZE=, or ulimit -f)"},
}

// limitOf returns the limit that caused err, or nil.
func limitOf(err error) *limit {
	for i := range limits {
		if is(err, limits[i].errno) {
			return &limits[i]
		}
	}
	return nil
}

// failed converts err of a failed commit to an ErrFailed. It does not blame the disk for a limit.
func failed(err error) error {
	if l := limitOf(err); l != nil {
		return faultf(ErrFailed, "store: %s: %s (%s)", l.what, l.remedy, plain(err))
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// openFiles is how many descriptors a store needs to open, in addition to its tables.
const openFiles = 16

// checkFiles returns EMFILE if the store in dir cannot get the descriptors that it needs to open.
// Without them, Badger would end the process.
func checkFiles(dir string) (err error) {
	// Glob fails only for a malformed pattern.
	tables, _ := filepath.Glob(filepath.Join(stateDir(dir).current(), "*.sst"))
	for range openFiles + len(tables) {
		var f *os.File
		if f, err = os.Open(dir); err != nil {
			return err
		}
		defer f.Close()
	}
	return nil
}
