package server

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/socket"
	"tokend/fetchers"
)

// Faults and attacks with real processes of real users. They log what they measure, and take their
// time in full size: go test -run Siege -v -siege.

var inFull = flag.Bool("siege", false, "make the attacks as large as in docs/assurance.md")

// size is full with -siege, and some otherwise.
func size(some, full int) int {
	if *inFull {
		return full
	}
	return some
}

// roundTrips connects, asks and hangs up n times, and returns how long each took, in order.
func roundTrips(t *testing.T, path string, n int) []time.Duration {
	t.Helper()
	var all []time.Duration
	for range n {
		begin := time.Now()
		nc, err := dialPatiently(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.SetDeadline(begin.Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, "PING\n")
		var reply [8]byte
		if _, err := io.ReadFull(nc, reply[:]); err != nil || string(reply[:]) != "OK PONG\n" {
			t.Fatalf("got %q and %v, want OK PONG", reply[:], err)
		}
		nc.Close()
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all
}

// logTrips logs the middle, the 99th percentile and the worst.
func logTrips(t *testing.T, what string, all []time.Duration) {
	t.Helper()
	t.Logf("%s: median %s, 99 of 100 within %s, worst %s", what, all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
}

// TestSiegeOfHangingConnections opens 5000 connections of one user that hang, with a limit of 2000.
// The user gets half of the limit, the rest is refused, and root and another user are served.
func TestSiegeOfHangingConnections(t *testing.T) { overBoth(t, trySiegeOfHangingConnections) }

func trySiegeOfHangingConnections(t *testing.T, d driver) {
	needRoot(t)
	needDescriptors(t, 6000)
	path, s, _ := d.startSocket(t, Config{Limits: Limits{MaxConns: 2000}})
	logTrips(t, "root, before", roundTrips(t, path, 300))
	h := startAs(t, account(33), path, "hold", "idle", strconv.Itoa(size(2000, 5000)))
	if got, want := h.line(), "1000"; got != want {
		t.Errorf("%s connections are kept, want %s", got, want)
	}
	all := roundTrips(t, path, 300)
	logTrips(t, "root, with the connections of another hanging", all)
	if worst := all[len(all)-1]; worst > 2*time.Second {
		t.Errorf("root waits %s", worst)
	}
	if got := askAs(t, path, "GET "+token, account(65534)); !strings.HasPrefix(got, "OK ") {
		t.Errorf("another user is answered %q", got)
	}
	if got := askAs(t, path, "GET "+token, account(33)); got+"\n" != crowded {
		t.Errorf("one more of the same user is answered %q", got)
	}
	h.end()
	eventually(t, "all is given back", func() bool { return s.open.Load() == 0 })
	if got := askAs(t, path, "GET "+token, account(33)); !strings.HasPrefix(got, "OK ") {
		t.Errorf("when they are gone, the user is answered %q", got)
	}
}

// TestSiegeOfFloods has two processes that connect and close as fast as they can, which keeps the
// kernel's queue of the socket full, and a third that sends requests as fast as it is answered. A
// client that retries gets through. Root has a socket of its own on the same server, without a full
// queue.
func TestSiegeOfFloods(t *testing.T) { overBoth(t, trySiegeOfFloods) }

func trySiegeOfFloods(t *testing.T, d driver) {
	needRoot(t)
	path, s, _ := d.startSocket(t, Config{})
	own := filepath.Join(filepath.Dir(path), "own")
	ln, err := socket.Listen(own, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	defer serving.Wait()
	defer cancel()

	var floods []*helper
	for range 2 {
		h := startAs(t, account(33), path, "flood")
		h.line()
		floods = append(floods, h)
	}
	talk := startAs(t, account(33), path, "talk")
	talk.line()
	u := s.users.get(33)
	begin, connected, read := time.Now(), u.stats.connections.Load(), u.stats.reads.Load()
	shared := roundTrips(t, path, size(1, 50))
	alone := roundTrips(t, own, size(100, 1000))
	if got := askAs(t, path, "GET "+token, account(65534)); !strings.HasPrefix(got, "OK ") {
		t.Errorf("another user is answered %q", got)
	}
	if got := askAs(t, own, "PING", account(33)); !strings.Contains(got, "permission denied") {
		t.Errorf("at root's socket, another user is answered %q", got)
	}
	seconds := time.Since(begin).Seconds()
	t.Logf("the flood: %.0f connections a second; who only talks: %.0f reads a second",
		float64(u.stats.connections.Load()-connected)/seconds, float64(u.stats.reads.Load()-read)/seconds)
	logTrips(t, "root, in the flood", shared)
	logTrips(t, "root, beside the flood", alone)
	if usual := alone[len(alone)/2]; usual > 100*time.Millisecond { // 50 us
		t.Errorf("root waits %s at its own socket", usual)
	}
	for _, h := range floods {
		h.end()
	}
}

// TestSiegeWithoutDescriptors uses up all descriptors of a process: root is served, and other users
// get BUSY until there are descriptors again.
func TestSiegeWithoutDescriptors(t *testing.T) { overBoth(t, trySiegeWithoutDescriptors) }

func trySiegeWithoutDescriptors(t *testing.T, d driver) {
	needRoot(t)
	path := testSocket(t)
	daemon := startAs(t, account(0), path, "serve", string(d))
	if got := daemon.line(); got != "exhausted" {
		t.Fatalf("got %q", got)
	}
	if got := askAs(t, path, "PING", account(65534)); got+"\n" != crowded {
		t.Errorf("a user is answered %q, want %q", got, crowded)
	}
	var roots []*client
	for range descriptors.Spares {
		c := dialSocket(t, path)
		c.want(c.ask("PING"), "OK PONG")
		roots = append(roots, c)
	}
	// One too many for the spares waits in the queue until another ends.
	waiting := dialSocket(t, path)
	waiting.send("PING\n")
	time.Sleep(50 * time.Millisecond)
	roots[0].Close()
	waiting.want(waiting.line(), "OK PONG")
	daemon.tell()
	if got := daemon.line(); got != "restored" {
		t.Fatalf("got %q", got)
	}
	eventually(t, "a user is served again", func() bool { return askAs(t, path, "PING", account(65534)) == "OK PONG" })
	for _, c := range roots[1:] {
		c.want(c.ask("PING"), "OK PONG")
	}
}

// A client that is stopped in the middle of a conversation concerns nobody else, and is cut off
// when it has read nothing for too long.
func TestSiegeOfAStoppedClient(t *testing.T) { overBoth(t, trySiegeOfAStoppedClient) }

func trySiegeOfAStoppedClient(t *testing.T, d driver) {
	needRoot(t)
	path, s, engine := d.startSocket(t, Config{writeTimeout: 300 * time.Millisecond})
	engine.mu.Lock()
	engine.creds[token].value = "v"
	for len(engine.creds[token].value) < 4096 {
		engine.creds[token].value += engine.creds[token].value
	}
	engine.mu.Unlock()
	h := startAs(t, account(33), path, "talk")
	if got := h.line(); got != "begun" {
		t.Fatalf("got %q", got)
	}
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := h.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	logTrips(t, "root, with a stopped client", roundTrips(t, path, 100))
	eventually(t, "the connection is cut", func() bool {
		if s.open.Load() == 0 {
			return true
		}
		// It may have been stopped after it had read all its replies. Then the connection stays.
		time.Sleep(600 * time.Millisecond)
		if s.open.Load() > 0 {
			signal(syscall.SIGCONT)
			time.Sleep(20 * time.Millisecond)
			signal(syscall.SIGSTOP)
		}
		return false
	})
	signal(syscall.SIGCONT)
	if got := h.line(); got != "closed" {
		t.Errorf("the client finds %q, want it closed", got)
	}
}

// 10 000 connections (with -siege), dropped in every state there is, leave nothing behind.
func TestSiegeOfDroppedConnections(t *testing.T) { overBoth(t, trySiegeOfDroppedConnections) }

func trySiegeOfDroppedConnections(t *testing.T, d driver) {
	path, s, engine := d.startSocket(t, Config{peer: eachAnother()})
	openFiles := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(all)
	}
	roundTrips(t, path, 100)
	eventually(t, "all are closed", func() bool { return s.open.Load() == 0 })
	fds, goroutines, before := openFiles(), runtime.NumGoroutine(), inUse()
	for i := range size(2000, 10_000) {
		nc, err := dialPatiently(path)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 5 {
		case 0: // connected, and that was all
		case 1:
			_, _ = io.WriteString(nc, "GET "+token+"\n") // the answer is not waited for
		case 2:
			_, _ = io.WriteString(nc, "GET official_acc")
		case 3:
			_, _ = io.WriteString(nc, "GET "+cold+"\nPING\n") // it would have waited
		case 4:
			_, _ = io.WriteString(nc, "WATCH\n")
		}
		nc.Close()
	}
	eventually(t, "all are closed", func() bool { return s.open.Load() == 0 })
	eventually(t, "nobody waits", func() bool { _, now := engine.waiters(); return now == 0 })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "no descriptor is left", func() bool { return openFiles() <= fds })
	after := inUse()
	t.Logf("%d KB in use before, %d KB after", before>>10, after>>10)
	if after > before+16<<20 {
		t.Errorf("%d KB more in use", (after-before)>>10)
	}
}

// What one user can make the daemon hold, whatever it does with its connections.
func TestSiegeOnMemory(t *testing.T) { overBoth(t, trySiegeOnMemory) }

func trySiegeOnMemory(t *testing.T, d driver) {
	needRoot(t)
	needDescriptors(t, 6000)
	for _, how := range []string{"idle", "long", "deaf", "wait"} {
		t.Run(how, func(t *testing.T) {
			path, _, engine := d.startSocket(t, Config{writeTimeout: time.Minute, lineTimeout: time.Minute})
			engine.mu.Lock()
			engine.creds[token].value = "0123456789abcdef"
			for len(engine.creds[token].value) < 512 {
				engine.creds[token].value += engine.creds[token].value
			}
			engine.mu.Unlock()
			before := inUse()
			n := size(300, 4500)
			h := startAs(t, account(33), path, "hold", how, strconv.Itoa(n))
			kept := make(chan string, 1)
			go func() { kept <- h.line() }()
			most := before
			for end := time.Now().Add(time.Duration(size(300, 15_000)) * time.Millisecond); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				most = max(most, inUse())
			}
			held := most - before
			t.Logf("%s: %s of %d connections kept: at most %d MB", how, <-kept, n, held>>20)
			if held > 128<<20 { // 12 KiB for each of 4096, 160 KiB for some, and what the race detector adds
				t.Errorf("%s: %d MB are held for one user", how, held>>20)
			}
			c := dialSocket(t, path)
			c.want(c.ask("PING"), "OK PONG")
		})
	}
}

// Requests of one user that cost much, on many connections at once, leave another user's reads
// quick.
func TestSiegeOfCosts(t *testing.T) { overBoth(t, trySiegeOfCosts) }

func trySiegeOfCosts(t *testing.T, d driver) {
	needRoot(t)
	path, _, _ := d.startSocket(t, Config{Sign: fetchers.Sign})
	n := size(200, 4000)
	median, late := timesAs(t, path, account(65534), n)
	t.Logf("alone: median %s, 99 of 100 within %s", median, late)
	most := time.Duration(size(5000, 500)) * time.Microsecond
	for _, request := range []string{
		"SIGN " + ticket + " https://example.com/?" + strings.Repeat("x", 32_000),
		"REJECT " + token + " " + strings.Repeat("x", 32_000),
		"PUSH " + platform + " " + strings.Repeat("0", 40) + " 1 n " + strings.Repeat("x", 60_000),
		"STATUS " + token,
	} {
		verb, _, _ := strings.Cut(request, " ")
		h := startAs(t, account(33), path, "load", "48", request)
		h.line()
		busy, late := timesAs(t, path, account(65534), n)
		h.end()
		t.Logf("beside 48 connections with %s of %d bytes: median %s, 99 of 100 within %s", verb, len(request), busy, late)
		if busy > most {
			t.Errorf("beside %s of another user a read takes %s, want at most %s", verb, busy, most)
		}
	}
}

// timesAs returns the median and the 99th percentile of n reads of another user's.
func timesAs(t *testing.T, path string, who *syscall.Credential, n int) (median, late time.Duration) {
	t.Helper()
	h := startAs(t, who, path, "time", strconv.Itoa(n))
	defer h.end()
	if _, err := fmt.Sscan(h.line(), &median, &late); err != nil {
		t.Fatal(err)
	}
	return median, late
}
