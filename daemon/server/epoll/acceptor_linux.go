package epoll

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Acceptor accepts the connections of a listening socket. Make one with [Poller.Acceptor].
type Acceptor struct {
	fd   int
	poll *Poller
}

// Acceptor returns an Acceptor on the listening socket fd, and watches fd. If that succeeds, the
// Acceptor owns fd.
func (p *Poller) Acceptor(fd int) (*Acceptor, error) {
	a := &Acceptor{fd: fd, poll: p}
	return a, a.Resume()
}

// Descriptor returns the descriptor of the listening socket.
func (a *Acceptor) Descriptor() int { return a.fd }

// Accept returns the descriptor of the next connection, for [Wire.Open]. Its error is [ErrAgain] if
// no connection is pending.
func (a *Acceptor) Accept() (int, error) {
	fd, err := accept(a.fd)
	if err != nil && err != ErrAgain && len(a.poll.closing) > 0 {
		a.poll.CloseAll() // the process may have no descriptor left
		fd, err = accept(a.fd)
	}
	if err != nil && err != ErrAgain {
		return -1, os.NewSyscallError("accept", err)
	}
	return fd, err
}

// Pause ends the events of a until Resume.
func (a *Acceptor) Pause() { _ = a.poll.control(unix.EPOLL_CTL_DEL, a.fd, 0) }

// Resume ends a Pause.
func (a *Acceptor) Resume() error {
	return os.NewSyscallError("epoll_ctl", a.poll.control(unix.EPOLL_CTL_ADD, a.fd, unix.EPOLLIN))
}

// Close closes the socket.
func (a *Acceptor) Close() {
	a.Pause()
	_ = unix.Close(a.fd)
}

// accept returns the next connection in the queue of fd.
func accept(fd int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errnoErr(errno)
}
