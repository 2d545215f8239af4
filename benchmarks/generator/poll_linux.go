package generator

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller opens connections to one socket and waits for events on them. System calls that cannot
// block bypass Go's scheduler, which would cost a tenth of a request.
type poller struct {
	address unix.RawSockaddrUnix
	alone   bool  // there is only one connection, which needs no epoll
	only    int32 // its descriptor
	epoll   int
	events  [128]unix.EpollEvent
}

func (p *poller) open(path string, alone bool) (err error) {
	if len(path) == 0 || len(path) >= len(p.address.Path) {
		return fmt.Errorf("%w: the path of a Unix socket has 1 to %d bytes", ErrConnect, len(p.address.Path)-1)
	}
	p.address.Family = unix.AF_UNIX
	for i := range len(path) {
		p.address.Path[i] = int8(path[i])
	}
	p.alone, p.only, p.epoll = alone, -1, -1
	if !alone {
		p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	return os.NewSyscallError("epoll_create1", err)
}

func (p *poller) close() {
	if !p.alone {
		_ = unix.Close(p.epoll)
	}
}

// dial connects without waiting.
func (p *poller) dial() (fd int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errno != 0 {
		return -1, errno
	}
	_, _, errno = unix.RawSyscall(unix.SYS_CONNECT, r, uintptr(unsafe.Pointer(&p.address)), unsafe.Sizeof(p.address))
	if errno != 0 {
		_ = unix.Close(int(r))
		return -1, errno
	}
	return int(r), 0
}

// add registers a connection under its number.
func (p *poller) add(fd int, number int32) error {
	if p.alone {
		p.only = int32(fd)
		return nil
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event))
}

// wait returns the connections with events, after patience at the latest. The Fd of an event is the
// connection's number. The events are valid until the next call.
func (p *poller) wait(patience time.Duration) ([]unix.EpollEvent, error) {
	if p.alone {
		limit := unix.NsecToTimespec(int64(patience))
		one := unix.PollFd{Fd: p.only, Events: unix.POLLIN} // a negative one never has events
		n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&one)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
		p.events[0].Fd = 0
		return p.come("ppoll", n, errno)
	}
	var none timespec64
	n, errno := p.pwait2(unix.RawSyscall6, &none)
	if errno == unix.ENOSYS { // before Linux 5.11: milliseconds, rounded down
		n, err := unix.EpollWait(p.epoll, p.events[:], int(patience/time.Millisecond))
		if err == unix.EINTR {
			n, err = 0, nil
		}
		return p.events[:max(n, 0)], os.NewSyscallError("epoll_wait", err)
	}
	if n == 0 && errno == 0 && patience > 0 {
		n, errno = p.pwait2(unix.Syscall6, &timespec64{int64(patience / time.Second), int64(patience % time.Second)})
	}
	return p.come("epoll_pwait2", n, errno)
}

func (p *poller) come(call string, n uintptr, errno unix.Errno) ([]unix.EpollEvent, error) {
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR:
		return nil, nil
	}
	return nil, os.NewSyscallError(call, errno)
}

// timespec64 is the argument of epoll_pwait2, also on 32-bit systems.
type timespec64 struct{ sec, nsec int64 }

func (p *poller) pwait2(call func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err unix.Errno), limit *timespec64) (uintptr, unix.Errno) {
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)),
		uintptr(unsafe.Pointer(limit)), 0, 0)
	return n, errno
}

// receive receives once, without waiting.
func receive(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

// send sends all of b or fails; see [MaxBatch].
func send(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// exact makes the kernel wake this thread at the requested time, not up to 50 us later.
func exact() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// giveWay gives this thread a tenth of the weight of a normal thread.
func giveWay() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10) }
