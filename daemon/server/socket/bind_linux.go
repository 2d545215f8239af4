package socket

import (
	"context"
	"io/fs"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind makes the socket with at most the permissions perm from the start. Linux creates the file
// with the mode of the socket itself, less the umask (unix(7)). So fchmod before bind is in time,
// where chmod after bind is too late, and changing the umask would affect every other file that
// the process creates at that moment.
func bind(path string, perm fs.FileMode) (*net.UnixListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmodErr error
		err := raw.Control(func(fd uintptr) {
			chmodErr = unix.Fchmod(int(fd), uint32(perm))
			refuseDescriptors(fd)
		})
		if err != nil {
			return err
		}
		return chmodErr
	}}
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}

// refuseDescriptors makes the kernel refuse descriptors that peers pass (SCM_RIGHTS) over
// connections to the socket fd, from Linux 6.16 on. The protocol has no use for them, and a read
// ends behind them although more bytes are buffered, which an edge-triggered poller has reported
// already. An older kernel drops them.
func refuseDescriptors(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
}
