//go:build !linux

package socket

import (
	"io/fs"
	"net"
	"syscall"
)

// bind makes the socket with at most the permissions perm from the start. Systems other than Linux
// create the file with the process's umask, so that is made strict, never lax, during bind(2).
func bind(path string, perm fs.FileMode) (*net.UnixListener, error) {
	old := syscall.Umask(int(0o777 &^ perm))
	defer syscall.Umask(old)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// refuseDescriptors does nothing: descriptors that peers pass are dropped with the bytes beside
// them.
func refuseDescriptors(uintptr) {}
