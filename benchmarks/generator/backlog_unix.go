//go:build unix

package generator

import "syscall"

// errBacklog is connect's error for a full listen queue (unix(7)).
const errBacklog = syscall.EAGAIN
