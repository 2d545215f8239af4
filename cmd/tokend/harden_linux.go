package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the memory of the process from other processes: no core dump (prctl(2),
// PR_SET_DUMPABLE; getrlimit(2), RLIMIT_CORE) and no tracing by processes of the same user. New
// files are not readable for others by default. It must be called before the first secret is read.
func harden() error {
	unix.Umask(0o077)
	var errs []error
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		errs = append(errs, fmt.Errorf("PR_SET_DUMPABLE: %w", err))
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		errs = append(errs, fmt.Errorf("RLIMIT_CORE: %w", err))
	}
	return errors.Join(errs...)
}
