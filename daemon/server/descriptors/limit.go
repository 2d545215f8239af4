package descriptors

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// Limit returns how many descriptors the process may have open.
func Limit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur, math.MaxInt))
}

// Exhausted reports whether err says that the process or the system has no descriptor left.
func Exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Room returns how many of limit connections there can be, operators' not counted. A quarter of the
// descriptors is left to operators, the store and calls to WeChat, and no fewer than these need.
func Room(limit int) int {
	all := Limit()
	return max(1, min(limit, all-max(all/4, Daemon+Operators)))
}

// perListener is how many descriptors an event loop and its spares take.
const perListener = 2 + Spares

// Check returns an error if the process cannot open enough descriptors to serve so many listeners
// and one connection, besides those that are open.
func Check(listeners int) error {
	limit := Limit()
	next := limit
	if fd, err := spare(); err == nil {
		next = fd // the lowest free one
		_ = syscall.Close(fd)
	}
	if needed := next + listeners*perListener + Daemon + Operators + 1; limit < needed {
		return fmt.Errorf("too few descriptors to accept connections: this process may open %d and needs at least %d: raise its limit (LimitNOFILE=, or ulimit -n)", limit, needed)
	}
	return nil
}
