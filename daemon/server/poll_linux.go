package server

import (
	"errors"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is the kernel's list of what an event loop waits for: epoll(7), and an eventfd(2) by which
// others end the waiting.
type poller struct {
	fd     int
	wakeFD int

	leaving []int         // descriptors to be closed; the loop's, as leave and closeAll are
	began   time.Time     // the zero of yielded
	yielded time.Duration // when wait has last yielded; the loop's too
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &poller{fd: fd, wakeFD: wakeFD, began: time.Now()}
	if err := p.add(wakeFD, unix.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.wakeFD)
	_ = unix.Close(p.fd)
}

// add, set and remove say which events of fd are waited for. That the peer is gone (EPOLLHUP)
// always is, until remove.
func (p *poller) add(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_ADD, fd, events) }
func (p *poller) set(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_MOD, fd, events) }
func (p *poller) remove(fd int) error             { return p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *poller) control(op, fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errnoErr(errno)
}

// yieldEvery is half of what Go's scheduler grants a goroutine (forcePreemptNS in its proc.go). To
// yield at each wait would hand the processor over more often than needed while others work long.
const yieldEvery = 5 * time.Millisecond

// wait waits until there are events, for at most timeout milliseconds, less than none for as long
// as it takes, and returns how many it has put into events. What is there already it takes without
// telling Go's scheduler, as the other calls of a loop do: that costs a busy loop less. Only where
// there is nothing does it say that its thread is about to wait, so that other goroutines have the
// processor.
//
// Before it waits it yields, if that was more than yieldEvery ago. Go's scheduler preempts a
// goroutine that has not yielded for 10 ms: it takes the P from the loop in each wait, and its
// monitor looks every 20 us for such a wait. That costs a fifth of the requests of one connection,
// half of those of four, and at 2000 requests a second a third of the CPU time.
func (p *poller) wait(events []unix.EpollEvent, timeout int) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if n == 0 && errno == 0 && timeout != 0 {
		if now := time.Since(p.began); now-p.yielded >= yieldEvery {
			p.yielded = now
			runtime.Gosched()
		}
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeout), 0, 0)
	}
	if errno != 0 { // EINTR: nothing else can be wrong with these arguments
		return 0
	}
	return int(n)
}

// leavingMost is how many descriptors may be leaving. Who accepts must not miss them.
const leavingMost = 4

// leave closes fd, at closeAll at the latest. To close a socket takes as long as to answer a
// request, and nobody waits for it; who connects for one request, and again as soon as it has
// closed, would. One such client alone is answered 7 % more often for that.
func (p *poller) leave(fd int) {
	if len(p.leaving) == leavingMost {
		_ = closeSocket(fd)
		return
	}
	p.leaving = append(p.leaving, fd)
}

// closeAll closes what is leaving. It is called when everybody who waits has been answered.
func (p *poller) closeAll() {
	for _, fd := range p.leaving {
		_ = closeSocket(fd)
	}
	p.leaving = p.leaving[:0]
}

// wake ends the wait that p is in, or the next one. Any goroutine may call it.
func (p *poller) wake() {
	one := uint64(1)
	_, _ = unix.Write(p.wakeFD, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
}

// woken takes back what wake has done.
func (p *poller) woken() {
	var n [8]byte
	_, _ = unix.Read(p.wakeFD, n[:])
}

// The calls of a busy loop. They never wait, the descriptors being non-blocking, so nothing is
// gained by telling Go's scheduler of them.

// accept returns the next connection in the queue of fd.
func accept(fd int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errnoErr(errno)
}

// receive reads into b, which has some length. It returns 0 and no error when the peer has said all
// it has to say.
func receive(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		switch errno {
		case 0:
			raceReceived()
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// send writes as much of b as the kernel takes, and returns how much that is. EAGAIN is no error.
func send(fd int, b []byte) (sent int, err error) {
	raceSending()
	for sent < len(b) {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[sent])), uintptr(len(b)-sent), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return sent, nil
		default:
			return sent, errno
		}
	}
	return sent, nil
}

// closeSocket closes fd. A Unix socket does not linger.
func closeSocket(fd int) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return errnoErr(errno)
}

// errnoErr returns errno as an error, nil for none.
func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
