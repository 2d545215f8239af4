package epoll

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lent returns a Wire that a loop has lent, and its peer. The loop runs until the test ends.
func lent(t *testing.T) (*Wire, int) {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := new(Wire)
	w.Open(p, fds[0])
	if err := w.Watch(Closed); err != nil {
		t.Fatal(err)
	}
	w.Lend()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		events := make([]Event, 4)
		for {
			for _, ev := range events[:p.Wait(events, -1)] {
				if p.Woken(ev.Descriptor()) {
					return
				}
				w.Happened()
			}
		}
	}()
	t.Cleanup(func() {
		p.Wake()
		<-ended
		_ = w.Close()
		p.CloseAll()
		p.Close()
		_ = unix.Close(fds[1])
	})
	return w, fds[1]
}

// TestWireReadsAndWrites moves more than the kernel buffers in both directions at once.
func TestWireReadsAndWrites(t *testing.T) {
	w, peer := lent(t)
	f := os.NewFile(uintptr(dup(t, peer)), "peer")
	other, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	text := strings.Repeat("0123456789abcdef", 1<<16)
	done := make(chan error, 2)
	for _, nc := range []net.Conn{w, other} {
		go func() {
			_, err := io.WriteString(nc, text)
			done <- err
		}()
	}
	for _, nc := range []net.Conn{w, other} {
		got := make([]byte, len(text))
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != text {
			t.Errorf("%T: not what was sent, %v", nc, err)
		}
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestWireDeadline(t *testing.T) {
	w, _ := lent(t)
	_ = w.SetReadDeadline(time.Unix(1, 0))
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = w.SetReadDeadline(time.Time{})
	time.AfterFunc(time.Millisecond, func() { _ = w.SetReadDeadline(time.Unix(1, 0)) }) // ends a read in progress
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if w.AwaitHangup() {
		t.Error("a peer that is connected has closed")
	}
}

// TestWireHangup distinguishes a close from a shutdown of the sending side.
func TestWireHangup(t *testing.T) {
	w, peer := lent(t)
	if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	_ = w.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if w.AwaitHangup() {
		t.Error("the peer has shut down its sending side only")
	}
	_ = w.SetReadDeadline(time.Time{})
	if err := unix.Shutdown(peer, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if !w.AwaitHangup() {
		t.Error("the peer has closed")
	}
}

func TestWireAbort(t *testing.T) {
	w, _ := lent(t)
	done := make(chan error, 1)
	go func() {
		_, err := w.Read(make([]byte, 1))
		done <- err
	}()
	w.Abort()
	if err := <-done; err == nil {
		t.Error("a read has succeeded")
	}
}

func TestWake(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	events := make([]Event, 4)
	if n := p.Wait(events, 0); n != 0 {
		t.Fatalf("%d events", n)
	}
	p.Wake()
	p.Wake()
	if n := p.Wait(events, -1); n != 1 || !p.Woken(events[0].Descriptor()) {
		t.Fatalf("%d events", n)
	}
	if n := p.Wait(events, time.Microsecond); n != 0 {
		t.Errorf("%d events after the wake-up was cleared", n)
	}
}
