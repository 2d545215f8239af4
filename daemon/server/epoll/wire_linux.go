package epoll

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wire is a connection of a loop. The loop calls Receive and Send, which never wait. A goroutine
// that the loop lends it to uses it as a [net.Conn]: Read and Write wait until the loop's Poller
// reports an event. So a connection changes hands without another descriptor and without Go's own
// poller.
//
// One goroutine may read while another one writes. Make one with Open.
type Wire struct {
	fd      int
	poll    *Poller
	watched bool // the Poller knows of fd

	mu      sync.Mutex // guards the fields below
	wants   Events     // that goroutines wait for
	aborted bool
	reading direction
	writing direction
}

// direction is one of the two directions of a Wire.
type direction struct {
	until time.Time     // the deadline; zero for none
	again chan struct{} // 1-buffered: try again, something may have changed
}

// Open makes w the connection fd of p's loop. p does not watch w yet.
func (w *Wire) Open(p *Poller, fd int) { w.poll, w.fd, w.watched = p, fd, false }

// Descriptor returns the descriptor of the socket.
func (w *Wire) Descriptor() int { return w.fd }

// Of reports whether w belongs to the loop of p.
func (w *Wire) Of(p *Poller) bool { return w.poll == p }

// Watch has the Poller report events of w. It fails only if the kernel has no memory left, or if
// too many descriptors are watched (epoll(7), max_user_watches).
func (w *Wire) Watch(events Events) error {
	op := unix.EPOLL_CTL_ADD
	if w.watched {
		op = unix.EPOLL_CTL_MOD
	}
	if err := w.poll.control(op, w.fd, events); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	w.watched = true
	return nil
}

// Unwatch ends Watch.
func (w *Wire) Unwatch() {
	_ = w.poll.control(unix.EPOLL_CTL_DEL, w.fd, 0) // a watched descriptor can be removed
	w.watched = false
}

// Watched reports whether the Poller knows of w.
func (w *Wire) Watched() bool { return w.watched }

// Receive reads what has arrived into b, which is not empty. Its error is [ErrAgain] if nothing has
// arrived, and [io.EOF] if the peer will send nothing more.
func (w *Wire) Receive(b []byte) (int, error) {
	n, err := receive(w.fd, b)
	switch {
	case err == nil && n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case err == ErrAgain:
		return 0, err
	}
	return 0, os.NewSyscallError("recv", err)
}

// Send writes as much of b as the kernel takes, and returns how much that is.
func (w *Wire) Send(b []byte) (int, error) {
	n, err := send(w.fd, b)
	if err != nil {
		err = os.NewSyscallError("send", err)
	}
	return n, err
}

// Lend makes w ready for goroutines. The loop calls it before they start, while it watches w for
// [Closed].
func (w *Wire) Lend() {
	if w.reading.again == nil {
		w.reading.again, w.writing.again = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wants = 0
	w.reading.until, w.writing.until = time.Time{}, time.Time{}
}

// Happened is called by the loop when the Poller has reported an event of w while w is lent. The
// goroutines that wait try again.
func (w *Wire) Happened() {
	w.mu.Lock()
	w.wants = 0 // each report is the last until await asks for another
	w.mu.Unlock()
	w.reading.retry()
	w.writing.retry()
}

func (d *direction) retry() {
	select {
	case d.again <- struct{}{}:
	default:
	}
}

// expired reports whether the deadline of d has passed.
func (w *Wire) expired(d *direction) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !d.until.IsZero() && !time.Now().Before(d.until)
}

// await waits until one of events is reported, or until the deadline of d changes or passes.
func (w *Wire) await(d *direction, events Events) error {
	w.mu.Lock()
	if w.aborted {
		w.mu.Unlock()
		return net.ErrClosed
	}
	w.wants |= events
	err := w.poll.control(unix.EPOLL_CTL_MOD, w.fd, w.wants|unix.EPOLLONESHOT)
	until := d.until
	w.mu.Unlock()
	if err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if until.IsZero() {
		<-d.again
		return nil
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-d.again:
	case <-t.C:
	}
	return nil
}

func (w *Wire) Read(b []byte) (int, error) {
	for {
		if w.expired(&w.reading) {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := w.Receive(b)
		if err != ErrAgain {
			return n, err
		}
		if err := w.await(&w.reading, unix.EPOLLIN); err != nil {
			return 0, err
		}
	}
}

func (w *Wire) Write(b []byte) (sent int, err error) {
	for {
		if w.expired(&w.writing) {
			return sent, os.ErrDeadlineExceeded
		}
		n, err := w.Send(b[sent:])
		sent += n
		if err != nil || sent == len(b) {
			return sent, err
		}
		if err := w.await(&w.writing, unix.EPOLLOUT); err != nil {
			return sent, err
		}
	}
}

// AwaitHangup waits until the peer has closed its socket. A shutdown of its sending side does not
// count. It returns false when the read deadline passes.
func (w *Wire) AwaitHangup() bool {
	for !w.expired(&w.reading) {
		fds := []unix.PollFd{{Fd: int32(w.fd)}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			return true
		}
		if err := w.await(&w.reading, 0); err != nil {
			return true
		}
	}
	return false
}

func (w *Wire) setDeadline(d *direction, t time.Time) {
	w.mu.Lock()
	d.until = t
	w.mu.Unlock()
	d.retry()
}

func (w *Wire) SetReadDeadline(t time.Time) error  { w.setDeadline(&w.reading, t); return nil }
func (w *Wire) SetWriteDeadline(t time.Time) error { w.setDeadline(&w.writing, t); return nil }
func (w *Wire) SetDeadline(t time.Time) error {
	_ = w.SetReadDeadline(t)
	return w.SetWriteDeadline(t)
}

// CloseWrite shuts down the sending side.
func (w *Wire) CloseWrite() error {
	return os.NewSyscallError("shutdown", unix.Shutdown(w.fd, unix.SHUT_WR))
}

// Abort shuts down both directions and ends every wait. Any goroutine may call it while w is lent.
func (w *Wire) Abort() {
	w.mu.Lock()
	w.aborted = true
	_ = unix.Shutdown(w.fd, unix.SHUT_RDWR)
	w.mu.Unlock()
	w.reading.retry()
	w.writing.retry()
}

// Close closes the descriptor no later than the next [Poller.CloseAll]. Only the loop may call it.
func (w *Wire) Close() error {
	w.poll.closeLater(w.fd)
	return nil
}

func (w *Wire) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (w *Wire) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// ErrAgain says that nothing is pending.
var ErrAgain error = unix.EAGAIN

// receive reads into b, which is not empty. It returns 0 and no error if the peer will send nothing
// more. Like send, it never waits, because the descriptors of a loop are non-blocking.
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

// send writes as much of b as the kernel takes, and returns how much that is. EAGAIN is not an
// error.
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
