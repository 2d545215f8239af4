package epoll

import (
	"errors"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for the events of descriptors by epoll(7). An eventfd(2) ends the wait from another
// goroutine. Make one with New.
type Poller struct {
	fd     int
	wakeFD int

	closing []int         // descriptors that CloseAll closes
	began   time.Time     // the zero of yielded
	yielded time.Duration // when Wait last yielded
}

// New returns a Poller without descriptors.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &Poller{fd: fd, wakeFD: wakeFD, began: time.Now()}
	if err := p.control(unix.EPOLL_CTL_ADD, wakeFD, unix.EPOLLIN); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close closes p, and none of the descriptors that it watches.
func (p *Poller) Close() {
	_ = unix.Close(p.wakeFD)
	_ = unix.Close(p.fd)
}

func (p *Poller) control(op, fd int, events Events) error {
	ev := unix.EpollEvent{Events: uint32(events), Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errnoErr(errno)
}

// Event is what has happened to one descriptor.
type Event struct{ raw unix.EpollEvent }

// Descriptor returns the descriptor that the event is of.
func (ev *Event) Descriptor() int { return int(ev.raw.Fd) }

// Events returns what has happened.
func (ev *Event) Events() Events { return Events(ev.raw.Events) }

// Events is a set of events. That the peer has closed is always reported until Unwatch, or once
// after Closed.
type Events uint32

const (
	// Readable is reported when bytes arrive and when the peer shuts down its sending side, each
	// once. Level-triggered events would make the kernel look at each connection twice, which is 4
	// % of a request.
	Readable Events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

	// Closed is reported once, when the peer has closed.
	Closed Events = unix.EPOLLONESHOT
)

// Closed reports whether the peer has closed.
func (e Events) Closed() bool { return e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Ended reports whether the peer will send nothing more.
func (e Events) Ended() bool { return e&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// yieldEvery is half of what Go's scheduler grants a goroutine (forcePreemptNS in its proc.go). To
// yield at each wait would hand the processor over more often than needed while others work long.
const yieldEvery = 5 * time.Millisecond

// Wait waits for events, for at most timeout, without limit if timeout is negative. It returns how
// many it has stored in events. Go's scheduler learns of the wait only if nothing is pending, so
// that other goroutines get the processor.
//
// Before Wait blocks it yields, if the last yield was more than yieldEvery ago. Go's scheduler
// preempts a goroutine that has not yielded for 10 ms: it takes the P from the loop in each wait,
// and its monitor looks every 20 us for such a wait. That costs a fifth of the requests of one
// connection, half of those of four, and at 2000 requests a second a third of the CPU time.
func (p *Poller) Wait(events []Event, timeout time.Duration) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if n == 0 && errno == 0 && timeout != 0 {
		if now := time.Since(p.began); now-p.yielded >= yieldEvery {
			p.yielded = now
			runtime.Gosched()
		}
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(milliseconds(timeout)), 0, 0)
	}
	if errno != 0 { // EINTR: the arguments allow no other error
		return 0
	}
	return int(n)
}

// milliseconds returns d as epoll_wait(2) takes it: rounded up, and -1 for no limit.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min(d+time.Millisecond-1, time.Hour) / time.Millisecond)
}

// Wake ends the current Wait, or the next one. Any goroutine may call it.
func (p *Poller) Wake() {
	one := uint64(1)
	_, _ = unix.Write(p.wakeFD, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
}

// Woken reports whether fd is that of an event that Wake has caused, and clears that event.
func (p *Poller) Woken(fd int) bool {
	if fd != p.wakeFD {
		return false
	}
	var n [8]byte
	_, _ = unix.Read(p.wakeFD, n[:])
	return true
}

// maxClosing is how many descriptors may wait for CloseAll. Accept may need them.
const maxClosing = 4

// closeLater closes fd no later than the next CloseAll. Closing a socket takes as long as answering
// a request, and no client waits for it. A client that connects for each request does wait for the
// server. One such client alone gets 7 % more requests answered.
func (p *Poller) closeLater(fd int) {
	if len(p.closing) == maxClosing {
		closeSocket(fd)
		return
	}
	p.closing = append(p.closing, fd)
}

// CloseAll closes the descriptors of the Wires that have been closed. The loop calls it when all
// requests that have arrived are answered.
func (p *Poller) CloseAll() {
	for _, fd := range p.closing {
		closeSocket(fd)
	}
	p.closing = p.closing[:0]
}

// closeSocket closes fd. A Unix socket does not linger.
func closeSocket(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// errnoErr returns errno as an error, nil for 0.
func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
