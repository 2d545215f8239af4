package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Badger keeps the text of an error only; a full disk or a lack of descriptors must not be taken
// for a damaged database all the same.
func TestSurroundingsAreNoDamage(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.ENOMEM} {
		whole := &os.PathError{Op: "open", Path: "00001.mem", Err: errno}
		for _, err := range []error{whole, fmt.Errorf("while opening fid: 1 err: %+v", whole)} {
			if errors.Is(diagnose(err), errDamaged) {
				t.Errorf("%v: taken for damage", err)
			}
		}
	}
	damage := errors.New("checksum mismatch")
	if !errors.Is(diagnose(damage), errDamaged) || passing(damage) {
		t.Error("damage is not taken for it")
	}
	if !passing(diagnose(fmt.Errorf("sync: err: %+v", syscall.EIO))) || passing(nil) {
		t.Error("an error of the disk is not tried again")
	}
}
