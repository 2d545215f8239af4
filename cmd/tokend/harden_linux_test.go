package main

import (
	"fmt"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// protection describes the protection of the process.
func protection() string {
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return err.Error()
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("dumpable %d, core %d of %d, umask %03o", dumpable, core.Cur, core.Max, unix.Umask(0))
}

func TestHarden(t *testing.T) {
	got, err := exec.Command("hardened").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if want := "dumpable 0, core 0 of 0, umask 077"; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
