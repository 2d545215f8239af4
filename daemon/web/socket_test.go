package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveTCP runs s on a loopback address until the test ends.
func serveTCP(t *testing.T, s *Server) (addr string) {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, ln)
	return ln.Addr().String()
}

// serveOn runs s on ln until the test ends.
func serveOn(t *testing.T, s *Server, ln net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-result; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc.(*net.TCPConn)
}

// send writes a hostile client's text and keeps the connection open.
func send(text string) func(t *testing.T, nc *net.TCPConn) {
	return func(t *testing.T, nc *net.TCPConn) {
		if _, err := io.WriteString(nc, text); err != nil {
			t.Error(err)
		}
	}
}

func TestOddClients(t *testing.T) {
	push := "POST /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\n"
	for _, test := range []struct {
		name  string
		send  func(t *testing.T, nc *net.TCPConn)
		want  []int // the statuses, in order
		close bool  // whether the connection is then closed
	}{
		{"a push", send(pushText("<xml/>")), []int{200}, false},
		{"a push over HTTP/1.0", send(strings.Replace(pushText("<xml/>"), "HTTP/1.1", "HTTP/1.0", 1)), []int{200}, true},
		{"a push with Expect", send(push + "Expect: 100-continue\r\nContent-Length: 6\r\n\r\n<xml/>"), []int{100, 200}, false},
		{"three pushes at once", send(strings.Repeat(pushText("<xml/>"), 3)), []int{200, 200, 200}, false},
		{"a push in chunks", send(push + "Transfer-Encoding: chunked\r\n\r\n3\r\n<xm\r\n3\r\nl/>\r\n0\r\n\r\n"), []int{200}, false},
		{"a push, then half-close", func(t *testing.T, nc *net.TCPConn) {
			send(pushText("<xml/>"))(t, nc)
			_ = nc.CloseWrite()
		}, []int{200}, true},
		{"half a push, then half-close", func(t *testing.T, nc *net.TCPConn) {
			send(strings.TrimSuffix(pushText("<xml/>"), "/>"))(t, nc)
			_ = nc.CloseWrite()
		}, []int{400}, true},
		{"an announced body that is too large", send(push + "Content-Length: 1048577\r\n\r\n"), []int{413}, true},
		{"an endless body", func(_ *testing.T, nc *net.TCPConn) {
			_, _ = io.WriteString(nc, push+"Transfer-Encoding: chunked\r\n\r\n")
			chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
			for range 64 { // 4 MiB
				if _, err := io.WriteString(nc, chunk); err != nil {
					return
				}
			}
		}, []int{413}, true},
		{"two lengths", send(push + "Content-Length: 6\r\nContent-Length: 7\r\n\r\n<xml/>"), []int{400}, true},
		{"a length and chunks", send(push + "Content-Length: 6\r\nTransfer-Encoding: chunked, x\r\n\r\n<xml/>"), []int{501}, true},
		{"an endless header", send(push + "X: " + strings.Repeat("x", maxHeader+(4<<10))), []int{431}, true},
		{"HTTP/0.9", send("GET /healthz\r\n\r\n"), []int{400}, true},
		{"another protocol", send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), []int{400}, true},
		{"HTTP/2", send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []int{404}, true},
		{"OPTIONS *", send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), []int{404}, true},
		{"CONNECT", send("CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"), []int{404}, true},
		{"an absolute URL", send("GET http://elsewhere/healthz HTTP/1.1\r\nHost: elsewhere\r\n\r\n"), []int{200}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // net/http lingers for half a second after an incomplete request
			s, _ := newTestServer(t, Config{}, new(fakeInbox))
			nc := dial(t, serveTCP(t, s))
			var sender sync.WaitGroup
			sender.Go(func() { test.send(t, nc) })
			r := bufio.NewReader(nc)
			for _, want := range test.want {
				status, text, err := answer(r)
				if err != nil || status != want {
					t.Fatalf("status %d, %v, want %d", status, err, want)
				}
				if strings.Contains(text, done) != (status == 200 && text == done) {
					t.Errorf("status %d with %q", status, text)
				}
			}
			if test.close {
				_, err := r.ReadByte()
				if ne, ok := errors.AsType[net.Error](err); err == nil || ok && ne.Timeout() {
					t.Errorf("the connection stays open: %v", err)
				}
			}
			_ = nc.Close()
			sender.Wait()
		})
	}
}

// attackers are hostile clients. Each repeats its attack until stop.
type attackers struct {
	addr  string
	pause time.Duration // between two connections of one attacker
	ctx   context.Context
	all   sync.WaitGroup
}

func (a *attackers) start(n int, f func(nc net.Conn)) {
	for range n {
		a.all.Go(func() {
			for a.ctx.Err() == nil {
				nc, err := net.DialTimeout("tcp", a.addr, time.Second)
				if err != nil {
					continue
				}
				stop := context.AfterFunc(a.ctx, func() { _ = nc.Close() })
				f(nc)
				stop()
				_ = nc.Close()
				time.Sleep(a.pause)
			}
		})
	}
}

// drip sends text slowly, byte by byte.
func drip(nc net.Conn, text string) {
	for _, b := range []byte(text) {
		if _, err := nc.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// hang waits until the peer closes.
func hang(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

// attack starts several kinds of attackers, most of them slow clients.
func attack(t *testing.T, addr string, slow int, pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	a := &attackers{addr: addr, pause: pause, ctx: ctx}
	head := "POST /callback/" + platform + signed + " HTTP/1.1\r\nHost: x\r\n"
	a.start(slow, hang)
	a.start(slow, func(nc net.Conn) { drip(nc, head+strings.Repeat("X: y\r\n", 100)) })
	a.start(slow, func(nc net.Conn) {
		_, _ = io.WriteString(nc, head+"Content-Length: 60000\r\n\r\n")
		drip(nc, strings.Repeat("x", 1000))
	})
	a.start(2, func(nc net.Conn) { // the largest allowed body, incomplete
		_, _ = io.WriteString(nc, head+"Content-Length: 1048576\r\n\r\n"+strings.Repeat("x", 1<<20-1))
		hang(nc)
	})
	a.start(2, func(nc net.Conn) { // a larger one
		_, _ = io.WriteString(nc, head+"Content-Length: 1048577\r\n\r\n"+strings.Repeat("x", 1<<16))
		hang(nc)
	})
	a.start(2, func(nc net.Conn) { _, _ = io.WriteString(nc, strings.Repeat("\x00\xff garbage\r\n", 10)); hang(nc) })
	a.start(2, func(nc net.Conn) { // requests without reading
		_, _ = io.WriteString(nc, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 100))
		time.Sleep(100 * time.Millisecond)
	})
	return func() { cancel(); a.all.Wait() }
}

// A client that floods the listener evicts only its own connections. If all connections come from
// one address, such as a proxy, slow connections are evicted first.
func TestPushesUnderAttack(t *testing.T) {
	for _, test := range []struct {
		name     string
		from     string // address of the genuine clients; the others use 127.0.0.1
		maxConns int
		slow     int
		pause    time.Duration
	}{
		{"from another address", "127.0.0.2", 48, 25, time.Millisecond},
		{"from the same address", "127.0.0.1", 0, 100, 500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			inbox := new(fakeInbox)
			s, out := newTestServer(t, Config{maxConns: test.maxConns}, inbox)
			addr := serveTCP(t, s)
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(test.from)}}
			if nc, err := dialer.Dial("tcp", addr); err != nil {
				t.Skipf("this host has no %s: %v", test.from, err)
			} else {
				_ = nc.Close()
			}
			stop := attack(t, addr, test.slow, test.pause)
			defer stop()
			client := &http.Client{
				Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext},
				Timeout:   20 * time.Second,
			}
			const pushes = 20
			var slowest time.Duration
			late := 0
			for n := range pushes {
				time.Sleep(30 * time.Millisecond)
				start := time.Now()
				resp, err := client.Post("http://"+addr+"/callback/"+platform+signed, "text/xml", strings.NewReader(fmt.Sprint("<xml>", n)))
				if err != nil {
					t.Errorf("push %d: %v", n, err)
					continue
				}
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				took := time.Since(start)
				slowest = max(slowest, took)
				if string(text) != done || resp.StatusCode != 200 || err != nil {
					t.Errorf("push %d: %d %q %v after %v", n, resp.StatusCode, text, err, took)
				}
				if took > time.Second {
					late++
				}
			}
			// WeCom waits for a second and then resends. Attackers, pusher and server share this
			// machine with other tests, which sometimes causes such a delay by itself. The tests in
			// virtual time check what the server does within that second.
			if late > pushes/4 {
				t.Errorf("%d of %d pushes were answered after more than a second", late, pushes)
			}
			t.Logf("slowest answer: %v", slowest)
			if n := inbox.kept(); n != pushes {
				t.Errorf("%d pushes kept, want %d", n, pushes)
			}
			if !strings.Contains(out.String(), "too many HTTP connections") {
				t.Error("the bound was not reached, so the test shows nothing")
			}
		})
	}
}

func TestListenErrors(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for addr, want := range map[string]string{
		ln.Addr().String(): "address in use: " + ln.Addr().String(),
		"192.0.2.1:8711":   "not an address of this host: 192.0.2.1:8711",
		"127.0.0.1":        "listen tcp: address 127.0.0.1: missing port in address",
	} {
		other, err := Listen(addr)
		if err == nil {
			_ = other.Close()
			t.Errorf("%s: no error", addr)
		} else if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
}

// brokenListener fails permanently.
type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("broken") }
func (brokenListener) Close() error              { return nil }

func TestListenerFails(t *testing.T) {
	s, _ := newTestServer(t, Config{}, new(fakeInbox))
	if err := s.Serve(t.Context(), brokenListener{}); err == nil || err.Error() != "broken" {
		t.Errorf("Serve: %v, want the listener's error", err)
	}
}
