package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/server/socket"
	"tokend/fetchers/secret"
)

// rawClient is a connection that costs the test's own process nothing but a descriptor, so that
// what is measured is the server.
type rawClient int

func dialRaw(t testing.TB, path string) rawClient {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	at := &unix.SockaddrUnix{Name: path}
	for err = unix.Connect(fd, at); err == unix.EAGAIN; err = unix.Connect(fd, at) { // the queue is full
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rawClient(fd)
}

// ask sends request and reads one reply, of which buf has room for all.
func (c rawClient) ask(t testing.TB, request, buf []byte) string {
	if _, err := unix.Write(int(c), request); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(int(c), buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// What waits is handed to a goroutine and comes back: as often as one likes, with what was sent
// behind it, and everything is counted once.
func TestLoopLendsAndTakesBack(t *testing.T) { overBoth(t, tryLoopLendsAndTakesBack) }

func tryLoopLendsAndTakesBack(t *testing.T, d driver) {
	path, s, _ := d.startSocket(t, Config{peer: as(alice)})
	c := dialSocket(t, path)
	const n = 300
	status := func() {
		c.want(c.line(), "OK 23")
		c.lines(23)
	}
	for i := range n {
		switch i % 3 {
		case 0: // jobs between requests that need none, in one write
			c.send("GET " + token + "\nSTATUS " + token + "\nGET " + token + "\nSTATUS " + token + "\n")
			for range 2 {
				if got := c.line(); !strings.HasSuffix(got, " tok-01") {
					t.Fatalf("got %q", got)
				}
				status()
			}
		case 1: // one job, and half of what follows
			_, _ = io.WriteString(c.Conn, "STATUS "+token+"\nGET "+token[:5])
			status()
			c.send(token[5:] + "\n")
			if got := c.line(); !strings.HasSuffix(got, " tok-01") {
				t.Fatalf("got %q", got)
			}
		case 2:
			c.want(c.ask("GET no/such/credential"), "ERR NOT_FOUND - no such credential")
		}
	}
	u := s.users.get(alice)
	if reads, hits, waits := u.stats.reads.Load(), u.stats.hits.Load(), u.stats.waits.Load(); reads != n/3*4 || hits != n/3*3 || waits != n/3 {
		t.Errorf("%d reads, %d hits and %d waits are counted, want %d, %d and %d", reads, hits, waits, n/3*4, n/3*3, n/3)
	}
	if got, want := readersOf(s, token), fmt.Sprintf("%d=%d", uint32(alice), n/3*3); got != want {
		t.Errorf("used by\n got %s\nwant %s", got, want)
	}
}

// TestLoopSlowConsumer checks that a peer that reads slowly gets all its replies, in order, that
// its buffers are bounded, and that other peers do not wait.
func TestLoopSlowConsumer(t *testing.T) { overBoth(t, tryLoopSlowConsumer) }

func tryLoopSlowConsumer(t *testing.T, d driver) {
	path, _, engine := d.startSocket(t, Config{})
	engine.mu.Lock()
	for i := range 100 {
		engine.creds[fmt.Sprintf("a/%d/c", i)] = &fakeCred{value: secret.Text(fmt.Sprintf("%d-%s", i, strings.Repeat("v", 2000))), end: time.Now().Add(time.Hour)}
	}
	engine.mu.Unlock()
	slow, other := dialSocket(t, path), dialSocket(t, path)
	const n = 3000 // 6 MB: far more than the kernel holds
	var requests strings.Builder
	for i := range n {
		fmt.Fprintf(&requests, "GET a/%d/c\n", i%100)
	}
	slow.send(requests.String())
	replies := bufio.NewReaderSize(slow.Conn, 4096)
	for i := range n {
		if i%500 == 0 {
			other.want(other.ask("PING"), "OK PONG")
			time.Sleep(20 * time.Millisecond)
		}
		line, err := replies.ReadString('\n')
		if err != nil || !strings.Contains(line, fmt.Sprintf(" %d-v", i%100)) {
			t.Fatalf("reply %d: got %.40q and %v", i, line, err)
		}
	}
	slow.r = replies
	slow.want(slow.ask("PING"), "OK PONG")
}

// TestLoopManyConnections serves 8192 connections, and measures the memory of an idle one.
func TestLoopManyConnections(t *testing.T) {
	n := 8192
	if testing.Short() {
		n = 512
	}
	needDescriptors(t, uint64(2*n+1000))
	path, s, _ := byLoop.startSocket(t, Config{Limits: Limits{MaxConns: 2 * n}})
	request, buf := []byte("GET "+token+"\n"), make([]byte, 64)
	var clients []rawClient
	open := func(n int) {
		for range n {
			c := dialRaw(t, path)
			if got := c.ask(t, request, buf); !strings.HasSuffix(got, " tok-01\n") {
				t.Fatalf("connection %d: got %q", len(clients), got)
			}
			clients = append(clients, c)
		}
	}
	open(10)
	goroutines, before := runtime.NumGoroutine(), inUse()
	open(n - 10)
	each := (int64(inUse()) - int64(before)) / int64(n-10) // below nothing where more of other tests' has gone
	t.Logf("%d bytes for each of %d idle connections", each, n)
	if each > 2<<10 {
		t.Errorf("%d bytes for each idle connection, want at most 2 KiB", each)
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines more", got-goroutines)
	}
	for _, c := range clients {
		if got := c.ask(t, request, buf); !strings.HasSuffix(got, " tok-01\n") {
			t.Fatalf("asked again: got %q", got)
		}
	}
	if got := s.open.Load(); got != int64(n) {
		t.Errorf("%d connections are counted, want %d", got, n)
	}
}

// countingEngine holds every credential, and knows the order in which it was asked.
type countingEngine struct {
	Engine
	mu    sync.Mutex
	asked map[string]int
	first map[string]int // how many had been asked for before the first of this name
	n     int
}

func (e *countingEngine) Now() clock.Instant { return 1 }

func (e *countingEngine) Cached(name []byte, _ clock.Instant) (credential.Value, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.first[string(name)]; !ok {
		e.first[string(name)] = e.n
	}
	e.asked[string(name)]++
	e.n++
	return credential.Value{Text: "v", TTL: time.Hour}, true
}

func (e *countingEngine) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	cachedEach(e, names, now, values)
}

// TestLoopTakesTurns checks that peers which have sent much do not delay those that have sent
// little. All have sent before the server reads from the first, and one has closed by then.
func TestLoopTakesTurns(t *testing.T) {
	engine := &countingEngine{asked: map[string]int{}, first: map[string]int{}}
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	const each = 5000
	for i := range 3 {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, strings.Repeat(fmt.Sprintf("GET a/%d/c\n", i), each)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			nc.Close()
		}
	}
	serveUntilEnd(t, Config{Engine: engine, peer: as(0)}, ln)
	c := dialSocket(t, path)
	c.want(c.ask("GET a/last/c"), "OK 3600 v")
	eventually(t, "all has been answered", func() bool {
		engine.mu.Lock()
		defer engine.mu.Unlock()
		return engine.asked["a/0/c"] == each && engine.asked["a/2/c"] == each
	})
	engine.mu.Lock()
	defer engine.mu.Unlock()
	const turn = smallBuffer/len("GET a/0/c\n") + 1
	for _, name := range []string{"a/1/c", "a/2/c"} {
		if before := engine.first[name]; before > 2*turn {
			t.Errorf("%d requests of others are answered before the first of %s, want at most %d", before, name, 2*turn)
		}
	}
}

// A GET of a value that is held allocates nothing, from the socket to the socket.
func TestLoopAllocatesNothing(t *testing.T) {
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, Config{Engine: newStaticEngine(), peer: as(alice), Limits: Limits{UserRate: unslowed}, Rules: []access.Rule{
		{UIDs: []uint32{alice}, Names: []string{"work/*", "official_account/*"}, Verbs: []string{"GET"}}}}, ln)
	c := dialRaw(t, path)
	request, buf := []byte(strings.Repeat(benchRequest, 4)), make([]byte, 64<<10)
	trip := func() {
		if _, err := unix.Write(int(c), request); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 4*521; {
			m, err := unix.Read(int(c), buf)
			if err != nil || m == 0 {
				t.Fatal(m, err)
			}
			n += m
		}
	}
	trip()
	if n := testing.AllocsPerRun(1000, trip); n != 0 {
		t.Errorf("%v allocations for four requests, want none", n)
	}
}

// A client that connects for one request costs no memory either.
func TestLoopConnectsAllocateNothing(t *testing.T) {
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, Config{Engine: newStaticEngine(), Limits: Limits{UserRate: unslowed}}, ln)
	var at unix.Sockaddr = &unix.SockaddrUnix{Name: path}
	request, buf := []byte(benchRequest), make([]byte, 1024)
	trip := func() {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		rawClient(fd).ask(t, request, buf)
		_ = unix.Close(fd)
	}
	trip()
	if n := testing.AllocsPerRun(1000, trip); n > 1 { // the text of the reply
		t.Errorf("%v allocations for a connection with one request, want one, the client's", n)
	}
}

// A stop in the middle of everything: what has been read is answered in whole lines, Serve returns
// in time, and nothing is left.
func TestLoopStopsInTheMiddle(t *testing.T) { overBoth(t, tryLoopStopsInTheMiddle) }

func tryLoopStopsInTheMiddle(t *testing.T, d driver) {
	openFiles := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(all)
	}
	var goroutines, fds int
	for i := range size(5, 100) {
		engine := newFakeEngine()
		path, s, stop, done := d.serveUntilStop(t, Config{Engine: engine, Sign: fakeSign, peer: eachAnother(), Limits: Limits{UserRate: 5000}})
		var talking sync.WaitGroup
		for i := range 24 {
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			talking.Go(func() { // some of it will be slowed, some wait, some never end
				_, _ = io.WriteString(nc, strings.Repeat("GET "+token+"\nSTATUS "+token+"\n", 400*(i%3))+
					[]string{"", "GET " + cold + "\n", "WATCH\n", "PING\nPI"}[i%4]+strings.Repeat("PING\n", 4000*(i%2)))
			})
			talking.Go(func() {
				all, _ := io.ReadAll(nc)
				if len(all) > 0 && all[len(all)-1] != '\n' {
					t.Errorf("connection %d ends in the middle of a line: %q", i, all[max(0, len(all)-40):])
				}
				nc.Close()
			})
		}
		eventually(t, "it is in the middle", func() bool { _, now := engine.waiters(); return now > 0 })
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		talking.Wait()
		if n := s.open.Load(); n != 0 {
			t.Errorf("%d connections are counted when Serve has returned", n)
		}
		if i == 0 { // what is made once for good has been
			goroutines, fds = runtime.NumGoroutine(), openFiles()
		}
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "no descriptor is left", func() bool { return openFiles() <= fds })
}

// A listener that fails for good ends Serve with that error, and the connections in good order.
func TestLoopListenerFails(t *testing.T) {
	engine := newFakeEngine()
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := ln.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	done := make(chan error, 1)
	s := New(Config{Engine: engine, Sign: fakeSign})
	go func() { done <- s.Serve(t.Context(), ln) }()
	idle, waits := dialSocket(t, path), dialSocket(t, path)
	idle.want(idle.ask("PING"), "OK PONG")
	waits.send("GET " + cold + "\n")
	eventually(t, "it waits", func() bool { _, now := engine.waiters(); return now == 1 })
	if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil { // nobody will be accepted from now on
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, unix.EINVAL) {
		t.Errorf("Serve\n got %v\nwant %v", err, unix.EINVAL)
	}
	idle.want(idle.rest(), "")
	waits.want(waits.rest(), "ERR SHUTDOWN 1 the daemon is stopping\n")
}
