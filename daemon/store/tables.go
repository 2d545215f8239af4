package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// checkTables reads every block of every table in the manifest before Badger is opened. Badger
// opens tables in its own goroutines, where a panic caused by damage ends the process. Its
// iterators stop at a bad block as at the last one. Tables that are not in the manifest are
// leftovers of a flush that crashed; Badger deletes them.
func checkTables(dir string) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	manifest, _, err := badger.ReplayManifestFile(f, 0, badger.Options{})
	_ = f.Close()
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	var checks errgroup.Group
	checks.SetLimit(runtime.GOMAXPROCS(0))
	for id := range manifest.Tables {
		checks.Go(func() error {
			if err := checkTable(dir, id); err != nil {
				return fmt.Errorf("table %d: %w", id, err)
			}
			return nil
		})
	}
	return checks.Wait()
}

// checkTable opens one table as Badger would, verifies it and closes it. It maps the file, so that
// the table is never on the heap.
func checkTable(dir string, id uint64) (err error) {
	f, err := os.Open(table.NewFilename(id, dir))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", info.Size(), err)
	}
	// Reading a bad sector faults. SetPanicOnFault turns the fault into a panic; otherwise it would
	// end the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: malformed", errDamaged) // the panic's text quotes the table
		}
		if e := unix.Munmap(data); err == nil {
			err = e
		}
	}()
	t, err := table.OpenInMemoryTable(data, id, &table.Options{ChkMode: options.NoVerification})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}
