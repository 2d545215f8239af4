package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener is a listener whose connections are net.Pipes. In a bubble, time advances while all
// ends of pipes block; it does not with sockets.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.closed:
		t.Fatal("dial: the listener is closed")
	}
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

// serve runs s in the bubble until stop is called. stop returns the result of Serve.
func serve(t *testing.T, s *Server) (l *pipeListener, stop func() error) {
	t.Helper()
	l = newPipeListener()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, l) }()
	return l, sync.OnceValue(func() error { cancel(); return <-result })
}

// overPipe runs f with one connection to a server in a bubble, and then stops the server.
func overPipe(t *testing.T, f func(t *testing.T, nc net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, Config{}, new(fakeInbox))
		l, stop := serve(t, s)
		f(t, l.dial(t))
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// pushText is a genuine push as sent over the wire.
func pushText(body string) string {
	return fmt.Sprintf("POST /callback/%s%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", platform, signed, len(body), body)
}

// answer reads one answer, whatever its status.
func answer(r *bufio.Reader) (status int, text string, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// closedAfter returns how long it takes until the peer closes nc.
func closedAfter(nc net.Conn) time.Duration {
	start := time.Now()
	_, _ = io.Copy(io.Discard, nc)
	return time.Since(start)
}

func TestSlowClientsClosed(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(nc net.Conn)
		most time.Duration
	}{
		{"silent", func(net.Conn) {}, 3 * time.Second},
		{"a header a byte at a time", func(nc net.Conn) {
			for _, b := range []byte(strings.Repeat("GET /healthz HTTP/1.1\r\nX: y\r\n", 100)) {
				time.Sleep(100 * time.Millisecond)
				if _, err := nc.Write([]byte{b}); err != nil {
					return
				}
			}
		}, 3 * time.Second},
		{"a body a byte at a time", func(nc net.Conn) {
			_, _ = io.WriteString(nc, strings.TrimSuffix(pushText(strings.Repeat("x", 1000)), strings.Repeat("x", 1000)))
			for range 1000 {
				time.Sleep(100 * time.Millisecond)
				if _, err := nc.Write([]byte("x")); err != nil {
					return
				}
			}
		}, 6 * time.Second},
		{"a pause after an answer", func(nc net.Conn) {
			_, _ = io.WriteString(nc, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}, 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			overPipe(t, func(t *testing.T, nc net.Conn) {
				var sender sync.WaitGroup
				sender.Go(func() { test.send(nc) })
				if took := closedAfter(nc); took > test.most {
					t.Errorf("closed after %v, want %v at most", took, test.most)
				}
				_ = nc.Close()
				sender.Wait()
			})
		})
	}
}

func TestStalledReaderClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, Config{}, new(fakeInbox))
		l, stop := serve(t, s)
		nc := l.dial(t)
		_, _ = io.WriteString(nc, pushText("<xml/>"))
		time.Sleep(11 * time.Second)
		if _, _, err := answer(bufio.NewReader(nc)); err == nil {
			t.Error("a client that did not read for 11 s is still connected")
		}
		_ = stop()
	})
}

func TestSlowestEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		inbox := &fakeInbox{act: func(context.Context) error { <-hold; return nil }}
		s, out := newTestServer(t, Config{maxConns: 3, answerTimeout: time.Minute, writeTimeout: time.Hour}, inbox)
		l, stop := serve(t, s)

		whole := l.dial(t) // the oldest, but its request is complete
		_, _ = io.WriteString(whole, pushText("<xml/>"))
		time.Sleep(time.Second)
		slow := l.dial(t)
		_, _ = io.WriteString(slow, "POST /callback/")
		time.Sleep(time.Second)
		silent := l.dial(t)
		time.Sleep(500 * time.Millisecond)

		fresh := l.dial(t)
		if took := closedAfter(slow); took > 0 {
			t.Errorf("the slowest was closed after %v, want at once", took)
		}
		another := l.dial(t)
		if took := closedAfter(silent); took > 0 {
			t.Errorf("the next was closed after %v, want at once", took)
		}
		if !strings.Contains(out.String(), "too many HTTP connections") {
			t.Error("the eviction was not logged")
		}
		close(hold)
		for name, nc := range map[string]net.Conn{"whole": whole, "fresh": fresh, "another": another} {
			if nc != whole {
				_, _ = io.WriteString(nc, pushText("<xml/>"))
			}
			if status, text, err := answer(bufio.NewReader(nc)); status != 200 || text != done || err != nil {
				t.Errorf("%s: %d %q %v, want 200 success", name, status, text, err)
			}
		}
		_ = stop()
	})
}

// A connection that was idle is treated like a new one once its next request begins.
func TestIdleConnectionRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, Config{maxConns: 2}, new(fakeInbox))
		l, stop := serve(t, s)
		proxy := l.dial(t)
		r := bufio.NewReader(proxy)
		_, _ = io.WriteString(proxy, pushText("<xml/>"))
		if status, _, err := answer(r); status != 200 {
			t.Fatal(status, err)
		}
		time.Sleep(10 * time.Second)
		silent := l.dial(t)
		time.Sleep(time.Second)
		text := pushText("<xml/>")
		_, _ = io.WriteString(proxy, text[:20])
		l.dial(t)
		if took := closedAfter(silent); took > 0 {
			t.Errorf("the silent connection was closed after %v, want at once", took)
		}
		_, _ = io.WriteString(proxy, text[20:])
		if status, _, err := answer(r); status != 200 {
			t.Errorf("the proxy's second push: %d %v, want 200", status, err)
		}
		_ = stop()
	})
}

// A connection whose push has been answered is replaced by a new one.
func TestAnsweredConnectionEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, Config{maxConns: 1}, new(fakeInbox))
		l, stop := serve(t, s)
		for range 3 {
			nc := l.dial(t)
			_, _ = io.WriteString(nc, pushText("<xml/>"))
			if status, _, err := answer(bufio.NewReader(nc)); status != 200 {
				t.Errorf("got %d %v, want 200", status, err)
			}
			synctest.Wait() // the connection is idle
		}
		_ = stop()
	})
}

// Slots for large bodies are released when bodies are incomplete.
func TestLargeBodyCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, Config{}, new(fakeInbox))
		l, stop := serve(t, s)
		text := pushText(strings.Repeat("x", 3*smallBody))
		for range maxLarge {
			nc := l.dial(t)
			_, _ = io.WriteString(nc, text[:2*smallBody])
			_ = nc.Close()
			synctest.Wait()
		}
		nc := l.dial(t)
		_, _ = io.WriteString(nc, text)
		if status, _, err := answer(bufio.NewReader(nc)); status != 200 {
			t.Errorf("a large push is answered %d %v, want 200", status, err)
		}
		_ = stop()
	})
}

func TestNothingToEvict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		inbox := &fakeInbox{act: func(context.Context) error { <-hold; return nil }}
		s, _ := newTestServer(t, Config{maxConns: 1, answerTimeout: time.Minute, writeTimeout: time.Hour}, inbox)
		l, stop := serve(t, s)
		whole := l.dial(t)
		_, _ = io.WriteString(whole, pushText("<xml/>"))
		synctest.Wait()
		if took := closedAfter(l.dial(t)); took > 0 {
			t.Errorf("a connection beyond the bounds was closed after %v, want at once", took)
		}
		close(hold)
		if status, _, err := answer(bufio.NewReader(whole)); status != 200 {
			t.Errorf("the connection with a complete request: %d %v, want 200", status, err)
		}
		_ = stop()
	})
}

func TestStopFinishesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inbox := &fakeInbox{act: func(context.Context) error { time.Sleep(500 * time.Millisecond); return nil }}
		s, _ := newTestServer(t, Config{}, inbox)
		l, stop := serve(t, s)
		silent, half, under := l.dial(t), l.dial(t), l.dial(t)
		_, _ = io.WriteString(half, "POST /callback/")
		_, _ = io.WriteString(under, pushText("<xml/>"))
		synctest.Wait()
		start := time.Now()
		result := make(chan error, 1)
		go func() { result <- stop() }()
		for name, nc := range map[string]net.Conn{"silent": silent, "half a header": half} {
			if took := closedAfter(nc); took > 0 {
				t.Errorf("%s: closed after %v, want at once", name, took)
			}
		}
		r := bufio.NewReader(under)
		if status, text, err := answer(r); status != 200 || text != done || err != nil {
			t.Errorf("the active request: %d %q %v, want 200 success", status, text, err)
		}
		if err := <-result; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("the stop took %v, want 500ms", took)
		}
	})
}

func TestStopAfterGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := newTestServer(t, Config{readTimeout: time.Hour, writeTimeout: time.Hour, gracePeriod: 2 * time.Second}, new(fakeInbox))
		l, stop := serve(t, s)
		nc := l.dial(t)
		_, _ = io.WriteString(nc, strings.TrimSuffix(pushText("<xml/>"), "l/>"))
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("the stop took %v, want the grace period", took)
		}
		if !strings.Contains(out.String(), "connections cut") {
			t.Error("the cut was not logged")
		}
	})
}

// Serve returns only after a call that its handler abandoned has ended.
func TestStopWaitsForAbandonedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inbox := &fakeInbox{act: func(context.Context) error { time.Sleep(20 * time.Second); return nil }}
		s, _ := newTestServer(t, Config{}, inbox)
		l, stop := serve(t, s)
		nc := l.dial(t)
		_, _ = io.WriteString(nc, pushText("<xml/>"))
		if status, text, _ := answer(bufio.NewReader(nc)); status != 503 || strings.Contains(text, done) {
			t.Errorf("%d %q, want 503", status, text)
		}
		_ = stop()
		if n := inbox.kept(); n != 1 {
			t.Errorf("%d pushes kept when Serve returned, want 1", n)
		}
	})
}
