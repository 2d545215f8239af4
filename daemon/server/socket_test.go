package server

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/server/socket"
)

// testSocket returns a path that is short enough for a socket.
func testSocket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // other users are among the peers
		t.Fatal(err)
	}
	return filepath.Join(dir, "s")
}

// driver is how connections are driven: by the event loop, or by a goroutine each.
type driver string

const (
	byLoop       driver = "event loop"
	byGoroutines driver = "goroutines"
)

// overBoth runs f over both drivers: whatever the one promises, the other does.
func overBoth(t *testing.T, f func(t *testing.T, d driver)) {
	for _, d := range []driver{byLoop, byGoroutines} {
		t.Run(string(d), func(t *testing.T) { f(t, d) })
	}
}

// startSocket serves cfg on a real socket until the test ends.
func (d driver) startSocket(t testing.TB, cfg Config) (path string, s *Server, engine *fakeEngine) {
	t.Helper()
	engine = newFakeEngine()
	cfg.Engine, cfg.noLoop = engine, d == byGoroutines
	if cfg.Sign == nil {
		cfg.Sign = fakeSign
	}
	path = testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return path, serveUntilEnd(t, cfg, ln), engine
}

// serveUntilStop serves cfg on a real socket until stop is called, or the test ends; done has what
// Serve returns.
func (d driver) serveUntilStop(t testing.TB, cfg Config) (path string, s *Server, stop func(), done <-chan error) {
	t.Helper()
	path = testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	cfg.noLoop = d == byGoroutines
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s = New(cfg)
	go func() { ended <- s.Serve(ctx, ln) }()
	return path, s, stop, ended
}

// serveUntilEnd serves ln until the test ends.
func serveUntilEnd(t testing.TB, cfg Config, ln net.Listener) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := New(cfg)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func dialSocket(t *testing.T, path string) *client {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestSocketHalfClosed(t *testing.T) { overBoth(t, trySocketHalfClosed) }

func trySocketHalfClosed(t *testing.T, d driver) {
	path, _, engine := d.startSocket(t, Config{})
	c := dialSocket(t, path)
	c.send("PING\nGET " + cold + "\nPING\nPIN")
	c.want(c.line(), "OK PONG")
	eventually(t, "the request waits", func() bool { _, now := engine.waiters(); return now == 1 })
	if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // long enough for a wrong server to give up
	engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
	if got, want := c.rest(), "OK 3600 tok-02\nOK PONG\n"; got != want && got != strings.Replace(want, "3600", "3599", 1) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestSocketPeerClosesWhileWaiting(t *testing.T) { overBoth(t, trySocketPeerClosesWhileWaiting) }

func trySocketPeerClosesWhileWaiting(t *testing.T, d driver) {
	for _, how := range []string{"closed", "half-closed, then closed", "with replies unread", "with its buffer full"} {
		t.Run(how, func(t *testing.T) {
			path, s, engine := d.startSocket(t, Config{})
			c := dialSocket(t, path)
			uc := c.Conn.(*net.UnixConn)
			switch how {
			case "with replies unread":
				c.send("PING\nGET " + cold + "\n")
			case "with its buffer full":
				c.send("GET " + cold + "\n" + strings.Repeat("PING\n", 2*smallBuffer))
			default:
				c.send("GET " + cold + "\n")
			}
			eventually(t, "the request waits", func() bool { _, now := engine.waiters(); return now == 1 })
			if how == "half-closed, then closed" {
				if err := uc.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
				if _, now := engine.waiters(); now != 1 {
					t.Fatal("a half-closed peer is taken to be gone")
				}
			}
			uc.Close()
			eventually(t, "the waiting is given up", func() bool { _, now := engine.waiters(); return now == 0 })
			eventually(t, "the connection is closed", func() bool { return s.open.Load() == 0 })
		})
	}
}

func TestSocketHalfClosedWatcher(t *testing.T) {
	overBoth(t, trySocketHalfClosedWatcher)
}

func trySocketHalfClosedWatcher(t *testing.T, d driver) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the two apart")
	}
	path, s, engine := d.startSocket(t, Config{})
	c := dialSocket(t, path)
	c.want(c.ask("WATCH %s", cold), "OK 1")
	c.want(c.line(), cold+" idle -")
	if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	engine.mu.Lock()
	engine.landLocked(cold, fetched{ttl: 1500 * time.Millisecond, value: "v"})
	engine.mu.Unlock()
	c.want(c.line(), "CHANGED "+cold+" fresh 1")
	c.Close()
	eventually(t, "the connection is closed", func() bool { return s.open.Load() == 0 })
}

// Whatever a watcher says ends the watch, QUIT too, whenever it says it.
func TestSocketWatcherSends(t *testing.T) {
	overBoth(t, func(t *testing.T, d driver) {
		path, s, _ := d.startSocket(t, Config{})
		for _, said := range []string{"QUIT\n", "PING\n", "x"} {
			for _, later := range []bool{false, true} {
				c := dialSocket(t, path)
				if later {
					c.want(c.ask("WATCH %s", cold), "OK 1")
				} else {
					c.send("WATCH " + cold + "\n" + said)
					c.want(c.line(), "OK 1")
				}
				c.want(c.line(), cold+" idle -")
				if later {
					c.send(said)
				}
				if b, err := io.ReadAll(c.Conn); len(b) > 0 || err != nil { // a reset would be no end
					t.Errorf("%q, later %t: got %q, %v, want the end", said, later, b, err)
				}
			}
		}
		eventually(t, "all is given back", func() bool { return s.open.Load() == 0 })
	})
}

func TestSocketOverlongLine(t *testing.T) { overBoth(t, trySocketOverlongLine) }

func trySocketOverlongLine(t *testing.T, d driver) {
	path, _, _ := d.startSocket(t, Config{})
	c := dialSocket(t, path)
	c.send("PING\n" + strings.Repeat("x", 1<<20))
	const want = "OK PONG\nERR BAD_REQUEST - the line is longer than 65536 bytes; closing the connection\n"
	c.want(c.rest(), want)
}

// A peer that writes all it has before it reads anything: within what the kernel buffers
// and the server holds, replies are complete and in order.
func TestSocketThousandRequestsInOneWrite(t *testing.T) {
	overBoth(t, trySocketThousandRequestsInOneWrite)
}

func trySocketThousandRequestsInOneWrite(t *testing.T, d driver) {
	path, _, _ := d.startSocket(t, Config{})
	c := dialSocket(t, path)
	if _, err := io.WriteString(c.Conn, strings.Repeat("PING\nGET "+token+"\n", 500)); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		c.want(c.line(), "OK PONG")
		if got := c.line(); !strings.HasSuffix(got, " tok-01") {
			t.Fatalf("got %q", got)
		}
	}
}

// A peer that asks on and on and reads nothing is cut off; others are served, and what is
// held for it stays small.
func TestSocketReaderThatStopsReading(t *testing.T) { overBoth(t, trySocketReaderThatStopsReading) }

func trySocketReaderThatStopsReading(t *testing.T, d driver) {
	path, s, engine := d.startSocket(t, Config{writeTimeout: 200 * time.Millisecond})
	engine.creds[token].value = "v"
	for len(engine.creds[token].value) < 4096 {
		engine.creds[token].value += engine.creds[token].value
	}
	deaf := dialSocket(t, path)
	var sent int64
	var wg sync.WaitGroup
	wg.Go(func() {
		batch := []byte(strings.Repeat("GET "+token+"\n", 1000))
		for {
			n, err := deaf.Write(batch)
			sent += int64(n)
			if err != nil {
				return
			}
		}
	})
	other := dialSocket(t, path)
	for range 100 {
		other.want(other.ask("PING"), "OK PONG")
	}
	wg.Wait()
	if sent > 8<<20 {
		t.Errorf("the server took %d bytes of requests from a peer that does not read", sent)
	}
	eventually(t, "one connection is left", func() bool { return s.open.Load() == 1 })
}

// inUse is what the test's process uses of heap and stacks.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestSocketThousandIdleConnections(t *testing.T) { overBoth(t, trySocketThousandIdleConnections) }

func trySocketThousandIdleConnections(t *testing.T, d driver) {
	if testing.Short() {
		t.Skip("opens 2000 descriptors")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2200 {
		t.Skipf("%d descriptors allowed", limit.Cur)
	}
	path, s, _ := d.startSocket(t, Config{})
	const n = 1000
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	before := inUse()
	buf := make([]byte, 64)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("unix", path); err != nil {
			t.Fatal(err)
		}
		io.WriteString(conns[i], "GET "+token+"\n")
		if _, err := conns[i].Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	each := (inUse() - before) / n
	t.Logf("%d bytes for each idle connection, the test's own end included", each)
	if each > 32<<10 { // what the race detector adds included
		t.Errorf("%d bytes for each idle connection, want at most 32 KiB", each)
	}
	if got := s.open.Load(); got != n {
		t.Errorf("%d connections open, want %d", got, n)
	}
	c := dialSocket(t, path)
	c.want(c.ask("PING"), "OK PONG")
}

func TestSocketPeer(t *testing.T) { overBoth(t, trySocketPeer) }

func trySocketPeer(t *testing.T, d driver) {
	got := make(chan access.Peer, 1)
	path, _, _ := d.startSocket(t, Config{peer: func(nc net.Conn) (access.Peer, error) {
		p, err := socket.Peer(nc)
		got <- p
		return p, err
	}})
	c := dialSocket(t, path)
	c.want(c.ask("PING"), "OK PONG")
	p := <-got
	if p.UID != uint32(os.Getuid()) || p.GID != uint32(os.Getgid()) || p.PID != int32(os.Getpid()) && p.PID != 0 {
		t.Errorf("got %+v, want uid %d, gid %d, pid %d", p, os.Getuid(), os.Getgid(), os.Getpid())
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if !p.In(uint32(g)) {
			t.Errorf("the peer is in group %d, the kernel says %v", g, p.Groups)
		}
	}
}
