package server

import (
	"context"
	"io/fs"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind makes the socket with at most the permissions perm from the start. Linux
// creates the file with the mode of the socket itself, less the umask (unix(7)), so
// fchmod before bind does what a chmod after it would do too late, and what a changed
// umask would do to every other file that the process makes meanwhile.
func bind(path string, perm fs.FileMode) (*net.UnixListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmodErr error
		err := raw.Control(func(fd uintptr) {
			chmodErr = unix.Fchmod(int(fd), uint32(perm))
			takeNoDescriptors(fd)
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

// takeNoDescriptors has the kernel refuse descriptors that peers want to pass (SCM_RIGHTS) over
// connections to the socket fd, from Linux 6.16 on: they are of no use, and a read ends behind them
// although more has been sent, of which the poller has told already. On an older kernel they are
// dropped.
func takeNoDescriptors(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
}
