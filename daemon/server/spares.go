package server

import (
	"errors"
	"os"
	"syscall"
)

// errSpent says that the descriptors that are left are for operators.
var errSpent = errors.New("too few descriptors")

// spares are descriptors held for nothing but to be given up: when the process has no other left,
// accept fails, the connection stays in the queue, and nobody can tell whose it is. A
// spare given up lets it be accepted, looked at, and kept if it is an operator's. They belong
// to one accept loop.
type spares struct {
	files []*os.File
	want  int
}

// spareFiles is how many operators can be served at once when everything else is in use.
const spareFiles = 4

func newSpares() *spares {
	s := &spares{want: spareFiles}
	s.refill()
	return s
}

// refill takes descriptors until there are as many as there should be, and reports whether
// there are. It costs nothing when there are.
func (s *spares) refill() bool {
	for len(s.files) < s.want {
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

// close gives up all.
func (s *spares) close() {
	for s.release() {
	}
}

// exhausted reports whether err says that there are no descriptors left, in the process or in
// the system.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
