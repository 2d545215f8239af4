package server

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/server/socket"

	"golang.org/x/sys/unix"
)

// wire is the socket of a connection of an event loop, as a [net.Conn] for the goroutine that the
// connection is lent to. Where it has to wait for the peer it has the loop's poller say when there
// is something to do; so a connection changes hands without another descriptor, and Go's own poller
// never hears of it.
//
// One goroutine may read while another writes. The loop owns the descriptor: Close is for the loop
// alone.
type wire struct {
	fd   int
	poll *poller

	mu      sync.Mutex // guards what follows
	wants   uint32     // the events that are waited for
	aborted bool
	reading waiting
	writing waiting
}

// waiting is one of the two directions.
type waiting struct {
	until time.Time     // the deadline; zero for none
	again chan struct{} // of one place: look again, something may have changed
}

// lend makes w ready for goroutines. It is called by the loop, before they begin.
func (w *wire) lend() {
	if w.reading.again == nil {
		w.reading.again, w.writing.again = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wants = 0
	w.reading.until, w.writing.until = time.Time{}, time.Time{}
}

// happened is called by the loop when the poller has told of w: whoever waits looks again, and
// waits again if it was the other one's turn.
func (w *wire) happened() {
	w.mu.Lock()
	w.wants = 0 // the poller has forgotten, too: each of its answers is the last until it is asked again
	w.mu.Unlock()
	w.reading.look()
	w.writing.look()
}

func (d *waiting) look() {
	select {
	case d.again <- struct{}{}:
	default:
	}
}

// expired reports whether the deadline of d has passed.
func (w *wire) expired(d *waiting) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !d.until.IsZero() && !time.Now().Before(d.until)
}

// await waits until it is worth while to try again what d stands for: there have been events, or
// the deadline has been changed or has passed.
func (w *wire) await(d *waiting, events uint32) error {
	w.mu.Lock()
	if w.aborted {
		w.mu.Unlock()
		return net.ErrClosed
	}
	w.wants |= events
	err := w.poll.set(w.fd, w.wants|unix.EPOLLONESHOT)
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

func (w *wire) Read(b []byte) (int, error) {
	for {
		if w.expired(&w.reading) {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := receive(w.fd, b)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err != unix.EAGAIN:
			return 0, os.NewSyscallError("recv", err)
		}
		if err := w.await(&w.reading, unix.EPOLLIN); err != nil {
			return 0, err
		}
	}
}

func (w *wire) Write(b []byte) (sent int, err error) {
	for {
		if w.expired(&w.writing) {
			return sent, os.ErrDeadlineExceeded
		}
		n, err := send(w.fd, b[sent:])
		sent += n
		switch {
		case err != nil:
			return sent, os.NewSyscallError("send", err)
		case sent == len(b):
			return sent, nil
		}
		if err := w.await(&w.writing, unix.EPOLLOUT); err != nil {
			return sent, err
		}
	}
}

// awaitHangup waits until the peer has closed its socket, and not just shut down its sending side.
// It returns false when the read deadline passes. See the function of this name.
func (w *wire) awaitHangup() bool {
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

func (w *wire) setDeadline(d *waiting, t time.Time) {
	w.mu.Lock()
	d.until = t
	w.mu.Unlock()
	d.look()
}

func (w *wire) SetReadDeadline(t time.Time) error  { w.setDeadline(&w.reading, t); return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { w.setDeadline(&w.writing, t); return nil }
func (w *wire) SetDeadline(t time.Time) error {
	_ = w.SetReadDeadline(t)
	return w.SetWriteDeadline(t)
}

// CloseWrite says that nothing more will be written.
func (w *wire) CloseWrite() error {
	return os.NewSyscallError("shutdown", unix.Shutdown(w.fd, unix.SHUT_WR))
}

// abort ends both directions, and whatever waits for them. Any goroutine may call it while w is
// lent.
func (w *wire) abort() {
	w.mu.Lock()
	w.aborted = true
	_ = unix.Shutdown(w.fd, unix.SHUT_RDWR)
	w.mu.Unlock()
	w.reading.look()
	w.writing.look()
}

// Close has the descriptor closed, see poller.leave.
func (w *wire) Close() error {
	w.poll.leave(w.fd)
	return nil
}

func (w *wire) descriptor() int { return w.fd }

// peer asks the kernel who is at the other end, but for its groups: a client that connects for one
// request should not have to pay for what few rules want to know.
func (w *wire) peer() (access.Peer, error) { return socket.User(w.fd) }

// groups asks for the peer's groups. The kernel remembers for as long as the connection lasts.
func (w *wire) groups() ([]uint32, error) { return socket.Groups(w.fd) }

func (w *wire) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (w *wire) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }
