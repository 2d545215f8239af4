package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Badger keeps only an error's text. A full disk or a lack of descriptors must still not be treated
// as a damaged database.
func TestHostErrorsNotDamage(t *testing.T) {
	for _, test := range []struct {
		op    string
		errno syscall.Errno
		want  error
	}{
		{"open", syscall.EMFILE, syscall.EMFILE},
		{"open", syscall.EACCES, syscall.EACCES},
		{"open", syscall.ENOMEM, syscall.ENOMEM},
		{"open", syscall.EROFS, ErrFailed},
		{"truncate", syscall.EFBIG, ErrFailed},
		{"sync", syscall.EIO, ErrFailed},
		{"write", syscall.EIO, ErrFailed},
		{"write", syscall.ENOSPC, ErrDiskFull},
		{"write", syscall.EDQUOT, ErrDiskFull},
		{"read", syscall.EIO, errDamaged}, // the content is lost
	} {
		whole := &os.PathError{Op: test.op, Path: "/var/lib/tokend/store/00001.mem", Err: test.errno}
		for _, err := range []error{whole, fmt.Errorf("while opening fid: 1 err: %+v\n", whole)} {
			got := diagnose("/var/lib/tokend/store", err)
			if !is(got, test.want) || errors.Is(got, errDamaged) != (test.want == errDamaged) {
				t.Errorf("%v: got %v, want %v", err, got, test.want)
			}
			if again := diagnose("/var/lib/tokend/store", got); test.want != errDamaged && again != got {
				t.Errorf("diagnosed twice: got %v, want %v", again, got)
			}
			if test.want == ErrFailed && strings.ContainsRune(got.Error(), '\n') {
				t.Errorf("more than one line: %q", got)
			}
		}
	}
	damage := errors.New("checksum mismatch")
	if !errors.Is(diagnose("/", damage), errDamaged) || passing(damage) {
		t.Error("damage is not recognized")
	}
	if !passing(diagnose("/", fmt.Errorf("sync: err: %+v", syscall.EIO))) || passing(nil) {
		t.Error("a disk error is not retried")
	}
}
