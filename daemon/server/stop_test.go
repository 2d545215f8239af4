package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/server/socket"
)

// stoppable is a server on a real socket that a test stops.
type stoppable struct {
	ln   *socket.Listener
	stop context.CancelFunc
	done chan error
}

func (d driver) startStoppable(t *testing.T, ln *socket.Listener, grace time.Duration) stoppable {
	t.Helper()
	s := New(Config{Engine: newFakeEngine(), Sign: fakeSign, noLoop: d == byGoroutines, silentGrace: grace})
	ctx, cancel := context.WithCancel(t.Context())
	run := stoppable{ln: ln, stop: cancel, done: make(chan error, 1)}
	go func() { run.done <- s.Serve(ctx, ln) }()
	return run
}

// TestStopSilent checks that a connection that has sent nothing may send its first request for a
// short time after a stop, and no more. A connection that has been served is closed at once.
func TestStopSilent(t *testing.T) { overBoth(t, tryStopSilent) }

func tryStopSilent(t *testing.T, d driver) {
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	const grace = time.Second // long enough for a busy machine
	run := d.startStoppable(t, ln, grace)
	dial := func() net.Conn {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		return nc
	}
	line := func(nc net.Conn) string {
		s, err := bufio.NewReader(nc).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		return s
	}
	served, partial, silent := dial(), dial(), dial()
	for _, nc := range []net.Conn{served, partial, silent} { // all are accepted when the last is served
		if nc == served {
			_, _ = io.WriteString(nc, "PING\n")
			line(nc)
		}
		if nc == partial {
			_, _ = io.WriteString(nc, "PI")
		}
	}
	last := dial()
	_, _ = io.WriteString(last, "PING\n")
	line(last)
	time.Sleep(10 * time.Millisecond)

	began := time.Now()
	run.stop()
	if s := line(served); s != "" || time.Since(began) > grace {
		t.Errorf("a connection that has been served: read %q after %s", s, time.Since(began))
	}
	_, _ = io.WriteString(partial, "NG\n")
	if s := line(partial); s != "OK PONG\n" {
		t.Errorf("a request that was incomplete at the stop: read %q", s)
	}
	if n, err := partial.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the reply: read %d bytes, error %v", n, err)
	}
	if err := <-run.done; err != nil {
		t.Error(err)
	}
	if s := line(silent); s != "" {
		t.Errorf("a silent connection: read %q", s)
	}
	if took := time.Since(began); took < grace || took > grace+20*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

// TestRestartsAnswerAll checks that clients that connect for each request get a reply to each, over
// restarts of the server at a socket that stays, as systemd's does.
func TestRestartsAnswerAll(t *testing.T) { overBoth(t, tryRestartsAnswerAll) }

func tryRestartsAnswerAll(t *testing.T, d driver) {
	path := testSocket(t)
	kept, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	adopt := func() *socket.Listener {
		f, err := kept.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ln, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		return socket.Adopt(ln).(*socket.Listener)
	}
	run := d.startStoppable(t, adopt(), 10*time.Second)
	var clients sync.WaitGroup
	var over atomic.Bool
	var asked atomic.Int64
	for range 2 {
		clients.Go(func() {
			for !over.Load() {
				if err := pingSlowly(path); err != nil {
					t.Errorf("request %d: %v", asked.Load(), err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for range 40 {
		time.Sleep(5 * time.Millisecond)
		run.stop()
		if err := <-run.done; err != nil {
			t.Fatal(err)
		}
		run = d.startStoppable(t, adopt(), 10*time.Second)
	}
	over.Store(true)
	clients.Wait()
	run.stop()
	if err := <-run.done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests over 40 restarts", asked.Load())
	if asked.Load() < 100 {
		t.Errorf("only %d requests", asked.Load())
	}
}

// pingSlowly makes one request on a new connection. Like an interpreter, it does not send the
// request in the moment in which it connects.
func pingSlowly(path string) error {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	time.Sleep(200 * time.Microsecond)
	if _, err := io.WriteString(nc, "PING\n"); err != nil {
		return err
	}
	reply, err := bufio.NewReader(nc).ReadString('\n')
	if err == nil && reply != "OK PONG\n" {
		err = errors.New(reply)
	}
	return err
}
