package server

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// What of the process's descriptors connections may not have. They are what everybody else's depend
// on: a daemon that can neither fetch nor store serves nobody for long.
const (
	// ownFiles are for the daemon itself, beyond what it holds when all is quiet: a log, a table
	// and their list of the store's and one of the journal's while they are written anew (6), four
	// calls upstream and two questions to a name server (6), a backup (2), a look at /proc for the
	// audit, and one to spare. Where more calls are made at once, they have what connections have
	// left.
	ownFiles = 16

	// operatorFiles are for operators, before other users.
	operatorFiles = 8

	// spareFiles is how many operators can be served at once when everything else is in use.
	spareFiles = 4
)

// spares are descriptors held for nothing but to be given up: when the process has no other left,
// accept fails, the connection stays in the queue, and nobody can tell whose it is. A spare given
// up lets it be accepted, looked at, and kept in the spare's place if it is an operator's. They
// belong to one accept loop.
type spares struct {
	files []*os.File

	// lent is how many places are taken by connections; those that end give theirs back.
	lent atomic.Int32

	// The system gives out the lowest descriptor that is free, so a new one tells how many are in
	// use. The limit can be changed from outside (prlimit(1)); it is looked at when there are more
	// than ever.
	limit, highest int
}

func newSpares() *spares {
	s := &spares{}
	s.refill()
	return s
}

// refill takes descriptors until there are as many as there should be, and reports whether
// there are. It costs nothing when there are.
func (s *spares) refill() bool {
	for len(s.files)+int(s.lent.Load()) < spareFiles {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return false
		}
		s.files = append(s.files, f)
	}
	return true
}

// release gives one up, and reports whether there was one.
func (s *spares) release() bool {
	n := len(s.files)
	if n == 0 {
		return false
	}
	_ = s.files[n-1].Close()
	s.files = s.files[:n-1]
	return true
}

// lend lets a connection take the place of a spare, until leave, if there is one.
func (s *spares) lend() bool {
	if s.lent.Load() >= spareFiles {
		return false
	}
	if s.lent.Add(1)+int32(len(s.files)) > spareFiles { // it has not been given up to accept it
		s.release()
	}
	return true
}

// leave ends lend. Any goroutine may call it.
func (s *spares) leave() { s.lent.Add(-1) }

// close gives up all.
func (s *spares) close() {
	for s.release() {
	}
}

// left returns how many descriptors are free when fd has just been given out; any number where fd
// is none.
func (s *spares) left(fd int) int {
	if fd < 0 {
		return math.MaxInt
	}
	if fd > s.highest || s.limit == 0 {
		s.limit, s.highest = descriptors(), fd
	}
	return s.limit - 1 - fd
}

// lookAgain has left look at the limit again.
func (s *spares) lookAgain() { s.limit = 0 }

// exhausted reports whether err says that there are no descriptors left, in the process or in
// the system.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// descriptors is how many the process may have.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur, math.MaxInt))
}

// listenerFiles is how many descriptors serving a listener takes: an event loop's, and the spares.
const listenerFiles = 2 + spareFiles

// CheckDescriptors returns an error if, besides what is open already, the process may not open
// enough descriptors to serve so many listeners and a single connection.
func CheckDescriptors(listeners int) error {
	limit := descriptors()
	next := limit
	if f, err := os.Open(os.DevNull); err == nil {
		next = int(f.Fd()) // the lowest that is free
		_ = f.Close()
	}
	if needed := next + listeners*listenerFiles + ownFiles + operatorFiles + 1; limit < needed {
		return fmt.Errorf("too few descriptors to accept connections: this process may open %d and needs at least %d: raise its limit (LimitNOFILE=, or ulimit -n)", limit, needed)
	}
	return nil
}

// descriptorOf returns nc's, -1 for none.
func descriptorOf(nc net.Conn) int {
	switch nc := nc.(type) {
	case interface{ descriptor() int }:
		return nc.descriptor()
	case syscall.Conn:
		return descriptorUnder(nc)
	}
	return -1
}

func descriptorUnder(nc syscall.Conn) (fd int) {
	fd = -1
	if raw, err := nc.SyscallConn(); err == nil {
		_ = raw.Control(func(d uintptr) { fd = int(d) })
	}
	return fd
}

// roomFor is how many connections there may be of limit, operators' not counted: a quarter of the
// descriptors that the process may have, and no less than it needs, are left to operators, the
// store and calls upstream.
func roomFor(limit int) int {
	all := descriptors()
	return max(1, min(limit, all-max(all/4, ownFiles+operatorFiles)))
}
