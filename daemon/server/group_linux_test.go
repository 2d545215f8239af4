package server

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/server/socket"
	"tokend/fetchers/secret"
)

// heldUp is an engine that blocks reads of gate, and so an event loop with all its connections.
type heldUp struct {
	*fakeEngine
	asked, on chan struct{}
	once      sync.Once
	ended     chan struct{} // closed when the test ends; endGate is held up until then
}

const (
	gate     = "work/gate/1/access_token"
	endGate  = "work/gate/2/access_token"
	slows    = "work/slows/1/access_token" // to look it up takes slowness
	slowness = 300 * time.Millisecond
)

func (e *heldUp) Cached(name []byte, now clock.Instant) (credential.Value, bool) {
	if string(name) == gate {
		e.once.Do(func() {
			close(e.asked)
			<-e.on
		})
	}
	if string(name) == endGate {
		<-e.ended
	}
	if v, ok := e.fakeEngine.Cached(name, now); string(name) != slows {
		return v, ok
	}
	e.mu.Lock()
	*e.at = e.at.Add(slowness)
	e.mu.Unlock()
	return e.fakeEngine.Cached(name, now)
}

func (e *heldUp) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	cachedEach(e, names, now, values)
}

// startHeldUp starts a server with a constant clock. The server reads at once what clients send
// between hold, which blocks it, and proceed, which ends that.
func (d driver) startHeldUp(t *testing.T) (path string, s *Server, e *fakeEngine, hold, proceed func()) {
	t.Helper()
	at := time.Now()
	held := &heldUp{fakeEngine: newFakeEngineAt(&at), asked: make(chan struct{}), on: make(chan struct{}), ended: make(chan struct{})}
	path = testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	s = serveUntilEnd(t, Config{Engine: held, peer: as(0), noLoop: d == byGoroutines}, ln)
	proceed = sync.OnceFunc(func() { close(held.on) })
	t.Cleanup(proceed)
	t.Cleanup(func() { close(held.ended) })
	hold = func() {
		dialSocket(t, path).send("GET " + gate + "\n")
		<-held.asked
	}
	return path, s, held.fakeEngine, hold, proceed
}

// TestGroupAnswersEachItsOwn checks that the members of a group get their own replies, whatever the
// others request and however they end.
func TestGroupAnswersEachItsOwn(t *testing.T) { overBoth(t, tryGroupAnswersEachItsOwn) }

func tryGroupAnswersEachItsOwn(t *testing.T, d driver) {
	const broken = "work/broken/1/access_token"
	long := strings.Repeat("v", 2000)
	kinds := []struct {
		what         string
		first, later string // what is sent before the server looks, and after; own stands for one's own name
		want         string // VALUE stands for the reply to GET own
	}{
		{"a value", "GET own\n", "", "VALUE"},
		{"several", "PING\nGET own\nGET own\n", "GET own\n", "OK PONG\nVALUEVALUEVALUE"},
		{"what a goroutine does, and more behind it", "GET own\nLIST none\nGET own\n", "PING\n", "VALUEOK 0\nVALUEOK PONG\n"},
		{"a PUT between others", "GET own\nPUT " + aGrant + " refreshtoken@@@x\nGET own\n", "", "VALUEOK\nVALUE"},
		{"a PUT at the end", "GET own\nPUT " + aGrant + " refreshtoken@@@x\n", "", "VALUEOK\n"},
		{"a line in two parts", "GET own\nPI", "NG\nGET own\n", "VALUEOK PONG\nVALUE"},
		{"part of a line", "PIN", "G\nGET own\n", "OK PONG\nVALUE"},
		{"more than gathers", strings.Repeat("GET a/long/c\n", 300) + "GET own\n", "", strings.Repeat("OK 3600 "+long+"\n", 300) + "VALUE"},
		{"nonsense", "GET \nGET own\n", "", "ERR BAD_REQUEST - two spaces in a row, or one at the end; the form is: GET <name>\nVALUE"},
		{"what is not there", "GET a/none/c\nGET own\n", "", "ERR NOT_FOUND - no such credential\nVALUE"},
		{"to quit", "GET own\nQUIT\nPING\n", "", "VALUEOK\n"},
		{"what breaks", "GET own\nGET " + broken + "\n", "", ""},
	}
	path, s, engine, hold, proceed := d.startHeldUp(t)
	n := 12 * len(kinds) // more than two groups
	engine.mu.Lock()
	engine.panics = broken
	end := engine.now().Add(time.Hour)
	engine.creds["a/long/c"] = &fakeCred{value: secret.Text(long), end: end}
	for i := range n {
		engine.creds[fmt.Sprintf("a/%d/c", i)] = &fakeCred{value: secret.Text(fmt.Sprintf("v%d", i)), end: end}
	}
	engine.mu.Unlock()
	var clients []*client
	for range n {
		c := dialSocket(t, path)
		c.want(c.ask("PING"), "OK PONG")
		clients = append(clients, c)
	}
	hold()
	for i, c := range clients {
		first := strings.ReplaceAll(kinds[i%len(kinds)].first, "own", fmt.Sprintf("a/%d/c", i))
		if _, err := io.WriteString(c.Conn, first); err != nil {
			t.Fatal(err)
		}
	}
	proceed()
	var talking sync.WaitGroup
	for i, c := range clients {
		k := kinds[i%len(kinds)]
		talking.Go(func() {
			_, _ = io.WriteString(c.Conn, strings.ReplaceAll(k.later, "own", fmt.Sprintf("a/%d/c", i))) // the server may have hung up
			_ = c.Conn.(*net.UnixConn).CloseWrite()
		})
		want := strings.ReplaceAll(k.want, "VALUE", fmt.Sprintf("OK 3600 v%d\n", i))
		if got := c.rest(); got != want {
			t.Errorf("%s: got %d bytes, want %d:\n got %.200q\nwant %.200q", k.what, len(got), len(want), got, want)
		}
	}
	talking.Wait()
	eventually(t, "all others have ended", func() bool { return s.open.Load() == 1 })
}

// TestGroupNoticesEnds checks that requests which arrive together with the end are answered, and
// that the end is noticed: the poller reports it once.
func TestGroupNoticesEnds(t *testing.T) { overBoth(t, tryGroupNoticesEnds) }

func tryGroupNoticesEnds(t *testing.T, d driver) {
	path, s, _, hold, proceed := d.startHeldUp(t)
	var clients []*client
	for range 3 * groupSize {
		c := dialSocket(t, path)
		c.want(c.ask("PING"), "OK PONG")
		clients = append(clients, c)
	}
	hold()
	asks := []string{"PING\n", "PING\nPI", "PING\nLIST none\n", strings.Repeat("PING\n", smallBuffer/5) + "P"} // the last fills a read
	for i, c := range clients {
		if _, err := io.WriteString(c.Conn, asks[i%len(asks)]); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.Close()
		} else {
			_ = c.Conn.(*net.UnixConn).CloseWrite()
		}
	}
	proceed()
	for i, c := range clients {
		if i%2 == 1 && !strings.HasPrefix(c.rest(), "OK PONG\n") {
			t.Errorf("client %d is not answered", i)
		}
	}
	eventually(t, "all others have ended", func() bool { return s.open.Load() == 1 })
}

// Reads that are filled to the last byte lose nothing of what is behind them, and wait for nothing
// that does not come.
func TestLoopReadsAreFilled(t *testing.T) { overBoth(t, tryLoopReadsAreFilled) }

func tryLoopReadsAreFilled(t *testing.T, d driver) {
	path, _, _ := d.startSocket(t, Config{peer: as(0)})
	c := dialSocket(t, path)
	for _, size := range []int{smallBuffer - 1, smallBuffer, smallBuffer + 1, 2 * smallBuffer, 2*smallBuffer + 1, 3*smallBuffer - 1} {
		n := size / 5
		text := strings.Repeat("PING\n", n-1) + strings.Repeat("x", size-5*n+4) + "\n"
		if len(text) != size {
			t.Fatalf("%d bytes, want %d", len(text), size)
		}
		c.send(text)
		for range n - 1 {
			c.want(c.line(), "OK PONG")
		}
		if got := c.line(); !strings.HasPrefix(got, "ERR BAD_REQUEST - ") {
			t.Fatalf("got %q", got)
		}
	}
	c.want(c.ask("PING"), "OK PONG")
}

// TestGroupsAnswerInOrder checks that the first of a few ready members have their
// replies while the loop handles the others.
func TestGroupsAnswerInOrder(t *testing.T) {
	path, _, _, hold, proceed := byLoop.startHeldUp(t)
	var clients []*client
	for range 2 * roundGroups {
		c := dialSocket(t, path)
		for range 2 { // after the second the poller knows of it, see revisit
			c.want(c.ask("PING"), "OK PONG")
		}
		clients = append(clients, c)
	}
	hold()
	for i, c := range clients {
		request := "PING\n"
		if i == len(clients)-1 {
			request = "GET " + endGate + "\n"
		}
		if _, err := io.WriteString(c.Conn, request); err != nil {
			t.Fatal(err)
		}
	}
	proceed()
	for _, c := range clients[:2] { // the first group
		c.want(c.line(), "OK PONG")
	}
}

// TestGroupClockNearExpiry checks that a value which expires while a group is answered is
// not served by the time that was read for the group.
func TestGroupClockNearExpiry(t *testing.T) {
	path, _, engine, hold, proceed := byLoop.startHeldUp(t)
	const last = "a/last/c"
	engine.mu.Lock()
	for name, ttl := range map[string]time.Duration{slows: time.Hour, last: slowness} {
		engine.creds[name] = &fakeCred{value: "old", end: engine.now().Add(ttl)}
	}
	engine.mu.Unlock()
	engine.tell(last, fetched{ttl: time.Hour, value: "new"})
	before, c := dialSocket(t, path), dialSocket(t, path)
	before.want(before.ask("PING"), "OK PONG")
	c.want(c.ask("GET "+last), "OK 1 old")
	asks := []struct {
		c    *client
		text string
	}{{before, "GET " + slows + "\n"}, {c, "GET " + last + "\n"}}
	for len(asks) < 2*roundGroups { // so that the first two are one group
		other := dialSocket(t, path)
		other.want(other.ask("PING"), "OK PONG")
		asks = append(asks, struct {
			c    *client
			text string
		}{other, "PING\n"})
	}
	hold()
	for _, asks := range asks {
		if _, err := io.WriteString(asks.c.Conn, asks.text); err != nil {
			t.Fatal(err)
		}
	}
	proceed()
	before.want(before.line(), "OK 3600 old")
	c.want(c.line(), "OK 3600 new")
}

// What a peer may not see is not looked up with the rest either: the time that would take tells of
// it.
func TestGroupLookupNeedsRight(t *testing.T) {
	engine := &countingEngine{asked: map[string]int{}, first: map[string]int{}}
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, Config{Engine: engine, peer: as(alice), Rules: []access.Rule{{UIDs: []uint32{alice}, Names: []string{"a/*"}, Verbs: []string{"GET"}}}}, ln)
	c := dialSocket(t, path)
	c.want(c.ask("PING"), "OK PONG")
	c.send(strings.Repeat("GET a/1/c\nGET b/1/c\n", 4))
	for range 4 {
		c.want(c.line(), "OK 3600 v")
		c.want(c.line(), "ERR NOT_FOUND - no such credential")
	}
	engine.mu.Lock()
	defer engine.mu.Unlock()
	if len(engine.asked) != 1 || engine.asked["a/1/c"] < 4 {
		t.Errorf("looked up: %v", engine.asked)
	}
}
