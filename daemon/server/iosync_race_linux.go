//go:build race

package server

import (
	"os"
	"sync"
	"syscall"
)

// The race detector takes what one goroutine has done before it wrote to a socket to have happened
// before what another does after it has read from one, and learns of both from package syscall. The
// calls of an event loop go past that package; these tell the detector of them, by a read and a
// write of nothing.

var null = sync.OnceValue(func() int {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return fd
})

func raceReceived() { _, _ = syscall.Read(null(), nil) }
func raceSending()  { _, _ = syscall.Write(null(), nil) }
