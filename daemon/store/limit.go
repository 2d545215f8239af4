package store

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// limit is what keeps tokend from using its files although the disk works.
type limit struct {
	errno        syscall.Errno
	what, remedy string
}

// limits are in this order because the text of the first contains that of the second, and text is
// all that Badger keeps of an error.
var limits = []limit{
	{syscall.ENFILE, "this host may open no more files", "raise fs.file-max"},
	{syscall.EMFILE, "this process may open no more files", "raise its limit (LimitNOFILE=, or ulimit -n)"},
	{syscall.EFBIG, "this process may not write files of this size", "remove its limit (LimitFSIZE=, or ulimit -f)"},
}

// limitOf returns the limit that err comes from; nil if it comes from another fault.
func limitOf(err error) *limit {
	for i := range limits {
		if is(err, limits[i].errno) {
			return &limits[i]
		}
	}
	return nil
}

// failed returns err, with which a commit ended, as an ErrFailed that does not blame the disk for a
// limit.
func failed(err error) error {
	if l := limitOf(err); l != nil {
		return faultf(ErrFailed, "store: %s: %s (%s)", l.what, l.remedy, plain(err))
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// openFiles is how many descriptors a store needs while it is opened, besides those of its tables.
const openFiles = 16

// checkFiles returns EMFILE if the store in dir cannot have the descriptors that it needs to be
// opened: at some of its files Badger would end the process.
func checkFiles(dir string) (err error) {
	tables, _ := filepath.Glob(filepath.Join(place(dir).current(), "*.sst")) // errs on its pattern only
	for range openFiles + len(tables) {
		var f *os.File
		if f, err = os.Open(os.DevNull); err != nil {
			return err
		}
		defer f.Close()
	}
	return nil
}
