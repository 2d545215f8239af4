package descriptors

import (
	"math"
	"sync/atomic"
	"syscall"
)

// The descriptors that connections of users cannot have.
const (
	// Daemon is how many the daemon needs beyond those that it has open while idle. A compaction
	// opens a log file, a table, a manifest of the store and a file of the journal (6). Four calls
	// to WeChat make two DNS queries (6). The others are for a backup (2), a file in /proc for the
	// audit log, and one to spare. A daemon that can neither fetch nor store does not serve anyone
	// for long.
	Daemon = 16

	// Operators is how many are kept for operators' connections.
	Operators = 8

	// Spares is how many connections of operators can be served when the process has no other
	// descriptor left.
	Spares = 4
)

// Reserve is the spare descriptors of one acceptor. It holds sockets, to have something to close:
// if the process has no descriptor left, accept fails, the connection stays in the queue, and its
// user is unknown. After a spare is released, the connection can be accepted. If its user is an
// operator, the connection keeps the descriptor. Otherwise it is closed, and Refill takes the
// descriptor back.
type Reserve struct {
	held []int
	lent atomic.Int32 // spares that connections use

	// The system allocates the lowest free descriptor, so a new one tells how many are in use. The
	// limit can be changed from outside (prlimit(1)). Free reads it again when a descriptor is
	// higher than any before.
	limit, highest int
}

// NewReserve returns a Reserve with as many spares as the process has descriptors for.
func NewReserve() *Reserve {
	r := &Reserve{}
	r.Refill()
	return r
}

// Refill opens spares until there are enough, and reports whether there are.
func (r *Reserve) Refill() bool {
	for len(r.held)+int(r.lent.Load()) < Spares {
		fd, err := spare()
		if err != nil {
			return false
		}
		r.held = append(r.held, fd)
	}
	return true
}

// spare opens a descriptor that needs no file: a container may lack /dev/null.
func spare() (int, error) {
	syscall.ForkLock.RLock() // a child that starts now inherits nothing
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, err
}

// Release closes a spare, and reports whether there was one.
func (r *Reserve) Release() bool {
	n := len(r.held)
	if n == 0 {
		return false
	}
	_ = syscall.Close(r.held[n-1])
	r.held = r.held[:n-1]
	return true
}

// Lend lets a connection use a spare until Return. It reports whether there was one.
func (r *Reserve) Lend() bool {
	if r.lent.Load() >= Spares {
		return false
	}
	if r.lent.Add(1)+int32(len(r.held)) > Spares { // no spare was released to accept the connection
		r.Release()
	}
	return true
}

// Return ends Lend. Any goroutine may call it.
func (r *Reserve) Return() { r.lent.Add(-1) }

// Close closes all spares.
func (r *Reserve) Close() {
	for r.Release() {
	}
}

// Free returns how many descriptors are free after fd has been allocated. A negative fd is none:
// the result is unlimited.
func (r *Reserve) Free(fd int) int {
	if fd < 0 {
		return math.MaxInt
	}
	if fd > r.highest || r.limit == 0 {
		r.limit, r.highest = Limit(), fd
	}
	return r.limit - 1 - fd
}

// Recheck makes Free read the limit again.
func (r *Reserve) Recheck() { r.limit = 0 }
