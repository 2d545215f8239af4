//go:build !linux

package server

import (
	"io/fs"
	"net"
	"syscall"
)

// bind makes the socket with at most the permissions perm from the start. Other
// systems create the file by the umask alone, which belongs to the whole process: it is
// made strict, never lax, for as long as bind(2) takes.
func bind(path string, perm fs.FileMode) (*net.UnixListener, error) {
	old := syscall.Umask(int(0o777 &^ perm))
	defer syscall.Umask(old)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// takeNoDescriptors does nothing: descriptors that peers pass are dropped when the bytes beside
// them are read.
func takeNoDescriptors(uintptr) {}
