package journal

import "os"

// file is an open journal file. refuse, which tests set, returns the error of an operation; nil
// lets all succeed.
type file struct {
	*os.File
	refuse func(operation string) error
}

// Refuse makes the operations "write", "truncate" and "sync" on the journal's files fail with the
// errors that f returns, as on a bad disk. It is for tests.
func (j *Journal) Refuse(f func(operation string) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.f.refuse = f
}

func (f *file) refuses(operation string) error {
	if f.refuse == nil {
		return nil
	}
	return f.refuse(operation)
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	if err := f.refuses("write"); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], off) // as a disk does when it fills up
		return n, err
	}
	return f.File.WriteAt(b, off)
}

func (f *file) Truncate(n int64) error {
	if err := f.refuses("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

func (f *file) Write(b []byte) (int, error) {
	if err := f.refuses("write"); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *file) Sync() error {
	if err := f.refuses("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// datasync is Sync without the file's times.
func (f *file) datasync() error {
	if err := f.refuses("sync"); err != nil {
		return err
	}
	return Datasync(f.File)
}
