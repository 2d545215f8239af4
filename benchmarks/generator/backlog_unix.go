//go:build unix

package generator

import "syscall"

// errBacklog is how connect says that the server's backlog is full (unix(7)).
const errBacklog = syscall.EAGAIN
