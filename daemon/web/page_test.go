package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hereConn is the end of a pipe with loopback addresses.
type hereConn struct{ net.Conn }

func (hereConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8711} }
func (hereConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// hereListener accepts hereConns.
type hereListener struct{ *pipeListener }

func (l hereListener) Accept() (net.Conn, error) {
	nc, err := l.pipeListener.Accept()
	if err != nil {
		return nil, err
	}
	return hereConn{nc}, nil
}

const askMetrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

// fetch requests a page on a new connection and returns the status.
func fetch(t *testing.T, l *pipeListener) int {
	t.Helper()
	nc := l.dial(t)
	go func() { _, _ = io.WriteString(nc, askMetrics) }()
	status, _, err := answer(bufio.NewReader(nc))
	if err != nil {
		t.Errorf("no answer: %v", err)
	}
	_ = nc.Close()
	return status
}

// TestSlowPages: a page that hangs is answered 503 within viewTimeout and does not delay other
// requests. Serve waits for the page when it stops.
func TestSlowPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := func(context.Context, Ask) (View, error) { <-release; return View{}, nil }
		s, _ := newTestServer(t, Config{Pages: map[string]Page{"/metrics": slow}}, new(fakeInbox))
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- s.Serve(ctx, hereListener{l}) }()
		var clients sync.WaitGroup
		for range 5 {
			clients.Go(func() {
				start := time.Now()
				if got := fetch(t, l); got != http.StatusServiceUnavailable {
					t.Errorf("got %d, want 503", got)
				}
				if took := time.Since(start); took > viewTimeout+time.Second {
					t.Errorf("answered after %v", took)
				}
			})
		}
		clients.Wait()
		nc := l.dial(t)
		go func() { _, _ = io.WriteString(nc, pushText("<xml/>")) }()
		if status, _, err := answer(bufio.NewReader(nc)); status != 200 || err != nil {
			t.Errorf("a push beside them: got %d, %v", status, err)
		}
		stop()
		time.Sleep(time.Minute)
		select {
		case <-stopped:
			t.Error("Serve has returned while a page is being made")
		default:
		}
		close(release)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestFaultyPages: a page that fails, by an error or a panic, is answered 500 without the reason.
// The panic's value is not logged.
func TestFaultyPages(t *testing.T) {
	for name, page := range map[string]Page{
		"an error": func(context.Context, Ask) (View, error) {
			return View{Body: []byte("half a page")}, errors.New("why it failed")
		},
		"a panic": func(context.Context, Ask) (View, error) { panic("canary5ecret") },
	} {
		s, log := newTestServer(t, Config{Pages: map[string]Page{"/metrics": page}}, new(fakeInbox))
		nc := dial(t, serveTCP(t, s))
		if _, err := io.WriteString(nc, askMetrics); err != nil {
			t.Fatal(err)
		}
		status, body, err := answer(bufio.NewReader(nc))
		if err != nil || status != 500 || body != "Internal Server Error\n" {
			t.Errorf("%s: got %d %q, %v", name, status, body, err)
		}
		if logged := log.String(); !strings.Contains(logged, "[ERROR]") || strings.Contains(logged, "canary5ecret") {
			t.Errorf("%s: logged %s", name, logged)
		}
	}
}

// TestPageReaderStalled: a client that requests a large page and does not read it is
// closed after writeTimeout.
func TestPageReaderStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := bytes.Repeat([]byte("x"), 1<<20)
		s, _ := newTestServer(t, Config{Pages: map[string]Page{"/metrics": func(context.Context, Ask) (View, error) { return View{Type: "text/plain", Body: large}, nil }}}, new(fakeInbox))
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- s.Serve(ctx, hereListener{l}) }()
		nc := l.dial(t)
		if _, err := io.WriteString(nc, askMetrics); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(11 * time.Second) // without reading
		n, err := io.Copy(io.Discard, nc)
		if n >= int64(len(large)) {
			t.Errorf("not closed after %v: %d bytes, %v", time.Since(start), n, err)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
