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

// checkTables reads every block of every table that the manifest names, before
// Badger is let in: Badger opens tables in goroutines of its own, where the panic that
// a damaged one causes ends the process, and its iterators end at a bad
// block as they do at the last one. Tables that the manifest does not name are what
// a crash left of a flush; Badger deletes them.
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

// checkTable opens one table as Badger would, and closes it. It reads the file through a
// mapping, so that the whole of it is never on the heap.
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
	// A sector that cannot be read is a fault, which ends the process unless it is a panic.
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
