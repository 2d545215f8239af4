package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
	"tokend/fetchers/secret"
)

// gatedEngine keeps PUTs until it is let, or their ctx ends; those of a name that ends in "broken"
// panic, those of "wrong" fail.
type gatedEngine struct {
	*fakeEngine
	gate    chan struct{} // each that comes out of it lets one call go; closed, all
	calls   atomic.Int64  // that are being kept
	largest atomic.Int64  // number of PUTs that came in one
}

func newGatedEngine() *gatedEngine {
	return &gatedEngine{fakeEngine: newFakeEngine(), gate: make(chan struct{})}
}

func (e *gatedEngine) Put(ctx context.Context, name string, value secret.Text) error {
	return e.PutAll(ctx, []credential.Deposit{{Name: name, Value: value}})[0]
}

func (e *gatedEngine) PutAll(ctx context.Context, all []credential.Deposit) []error {
	for n := e.largest.Load(); int64(len(all)) > n && !e.largest.CompareAndSwap(n, int64(len(all))); n = e.largest.Load() {
	}
	errs := make([]error, len(all))
	e.calls.Add(1)
	select {
	case <-e.gate:
	case <-ctx.Done():
		for i := range errs {
			errs[i] = ctx.Err()
		}
	}
	e.calls.Add(-1)
	if ctx.Err() != nil {
		return errs
	}
	for i, d := range all {
		switch {
		case strings.Contains(d.Name, "broken"):
			panic("canary-panic")
		case strings.Contains(d.Name, "wrong"):
			errs[i] = errNoSuch
		default:
			errs[i] = e.fakeEngine.Put(ctx, d.Name, d.Value)
		}
	}
	return errs
}

// kept waits until n calls are kept.
func (e *gatedEngine) kept(t *testing.T, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d calls are kept", n), func() bool { return e.calls.Load() == n })
}

func (d driver) startGated(t *testing.T) (path string, s *Server, e *gatedEngine) {
	t.Helper()
	e = newGatedEngine()
	path = testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return path, serveUntilEnd(t, Config{Engine: e, Sign: fakeSign, noLoop: d == byGoroutines}, ln), e
}

func putLine(who string) string {
	return "PUT " + platform + "/" + who + "/refresh_token refreshtoken@@@" + who + "\n"
}

// fillBatches has as many batches under way, which e keeps, as make the next one gather. It returns
// whose PUTs they are.
func fillBatches(t *testing.T, path string, e *gatedEngine) (whose []*client) {
	t.Helper()
	for i := range int64(underway) {
		c := dialSocket(t, path)
		c.send(putLine("wxhangs"))
		whose = append(whose, c)
		e.kept(t, i+1)
	}
	return whose
}

// TestManyPuts holds that each PUT of many at once gets its own answer, with what was sent behind
// it in order, and that the loop hands on together what has come together.
func TestManyPuts(t *testing.T) { overBoth(t, tryManyPuts) }

func tryManyPuts(t *testing.T, d driver) {
	path, s, e := d.startGated(t)
	const n = 30
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = dialSocket(t, path)
		clients[i].want(clients[i].ask("PING"), "OK PONG")
	}
	hangs := fillBatches(t, path, e)
	for i, c := range clients {
		who := fmt.Sprintf("wx%d", i)
		if i%3 == 0 {
			who = "wxwrong"
		}
		c.send("GET " + token + "\n" + putLine(who) + "PING\n" + putLine("wxagain") + "STATUS no/such/credential\nPI")
	}
	for _, c := range clients {
		if got := c.line(); !strings.HasSuffix(got, " tok-01") {
			t.Fatalf("got %q", got)
		}
	}
	close(e.gate)
	for i, c := range clients {
		want := "OK"
		if i%3 == 0 {
			want = "ERR NOT_FOUND - no such credential"
		}
		c.want(c.line(), want)
		c.want(c.line(), "OK PONG")
		c.want(c.line(), "OK")
		c.want(c.line(), "ERR NOT_FOUND - no such credential")
		c.want(c.ask("NG"), "OK PONG")
	}
	for _, c := range hangs {
		c.want(c.line(), "OK")
	}
	if largest := e.largest.Load(); d == byLoop && largest < n/2 {
		t.Errorf("at most %d of %d PUTs came together, while %d calls were kept", largest, n, len(hangs))
	}
	if n := s.users.get(s.users.self).waits.n.Load(); n != 0 {
		t.Errorf("%d requests are counted as waiting", n)
	}
}

// TestPutsGivenUp checks that a batch is given up when all its peers have closed.
func TestPutsGivenUp(t *testing.T) { overBoth(t, tryPutsGivenUp) }

func tryPutsGivenUp(t *testing.T, d driver) {
	path, s, e := d.startGated(t)
	for i, behind := range []string{"", "PING\n", strings.Repeat("PING\n", smallBuffer)} {
		c := dialSocket(t, path)
		c.send(putLine("wxgone"))
		e.kept(t, 1)
		if behind != "" {
			c.send(behind)
		}
		c.Close()
		e.kept(t, 0)
		eventually(t, fmt.Sprintf("connection %d is closed", i), func() bool { return s.open.Load() == 0 })
	}
}

// TestBatchesThatHang holds that a PUT waits for others no longer than anybody notices.
func TestBatchesThatHang(t *testing.T) { overBoth(t, tryBatchesThatHang) }

func tryBatchesThatHang(t *testing.T, d driver) {
	path, _, e := d.startGated(t)
	const n = 5 // more than there are batches under way on a disk in order
	var clients []*client
	for i := range int64(n) {
		c := dialSocket(t, path)
		c.send(putLine("wxhangs"))
		clients = append(clients, c)
		e.kept(t, i+1)
	}
	e.gate <- struct{}{}
	e.kept(t, n-1)
	close(e.gate)
	for _, c := range clients {
		c.want(c.line(), "OK")
	}
}

// TestPutJoinsAbandonedBatch checks that a PUT is stored and answered if all other peers of its
// batch have closed before the batch starts.
func TestPutJoinsAbandonedBatch(t *testing.T) { overBoth(t, tryPutJoinsAbandonedBatch) }

func tryPutJoinsAbandonedBatch(t *testing.T, d driver) {
	path, s, e := d.startGated(t)
	stay := fillBatches(t, path, e)
	other := dialSocket(t, path)
	for range 20 { // on a busy machine, a PUT may arrive after lookAfter
		next := dialSocket(t, path)
		next.want(next.ask("PING"), "OK PONG")
		gone := dialSocket(t, path)
		gone.want(gone.ask("PING"), "OK PONG")
		gone.send(putLine("wxgone"))
		other.want(other.ask("PING"), "OK PONG") // the loop has the PUT then
		gone.Close()
		other.want(other.ask("PING"), "OK PONG") // and has heard of that
		next.send(putLine("wxstays"))
		stay = append(stay, next)
	}
	close(e.gate)
	for _, c := range stay {
		c.want(c.line(), "OK")
	}
	eventually(t, "those that have gone are closed", func() bool { return s.open.Load() == int64(len(stay)+1) })
}

// TestPutsAllGivenUp holds that a PUT is not begun when nobody waits for it any
// more, be it after the batch that it is in has waited for others.
func TestPutsAllGivenUp(t *testing.T) {
	path, s, e := byLoop.startGated(t)
	hangs := fillBatches(t, path, e)
	other := dialSocket(t, path)
	for range 3 { // on a busy machine, a PUT may arrive after lookAfter
		gone := dialSocket(t, path)
		gone.want(gone.ask("PING"), "OK PONG")
		gone.send(putLine("wxgone"))
		other.want(other.ask("PING"), "OK PONG") // the loop has the PUT then
		gone.Close()
		eventually(t, "it is closed", func() bool { return s.open.Load() == int64(len(hangs)+1) })
		e.kept(t, underway)
	}
	close(e.gate)
	for _, c := range hangs {
		c.want(c.line(), "OK")
	}
}

// TestFaultInPut holds that it ends the connections that it is of, and no others.
func TestFaultInPut(t *testing.T) { overBoth(t, tryFaultInPut) }

func tryFaultInPut(t *testing.T, d driver) {
	path, s, e := d.startGated(t)
	close(e.gate)
	other := dialSocket(t, path)
	other.want(other.ask("PING"), "OK PONG")
	c := dialSocket(t, path)
	c.send(putLine("wxbroken"))
	c.want(c.rest(), "")
	other.want(other.ask("%s", strings.TrimSuffix(putLine("wxok"), "\n")), "OK")
	eventually(t, "one connection is left", func() bool { return s.open.Load() == 1 })
	if n := s.users.get(s.users.self).waits.n.Load(); n != 0 {
		t.Errorf("%d requests are counted as waiting", n)
	}
}

// TestStopDuringPuts checks that a stop answers the PUTs that wait, started or not, and that stored
// PUTs are answered OK.
func TestStopDuringPuts(t *testing.T) { overBoth(t, tryStopDuringPuts) }

func tryStopDuringPuts(t *testing.T, d driver) {
	e := newGatedEngine()
	path, s, stop, done := d.serveUntilStop(t, Config{Engine: e, Sign: fakeSign})
	var clients []*client
	for i := range 20 {
		c := dialSocket(t, path)
		c.send("PING\n" + putLine(fmt.Sprintf("wx%d", i)) + "PING\n" + putLine("wxagain"))
		c.want(c.line(), "OK PONG")
		clients = append(clients, c)
	}
	e.gate <- struct{}{} // some have been done
	stop()
	shutdown := "ERR SHUTDOWN 1 the daemon is stopping\n"
	stored := 0
	for _, c := range clients {
		got, _ := io.ReadAll(c.Conn)
		switch string(got) {
		case "OK\nOK PONG\n" + shutdown:
			stored++
		case shutdown + "OK PONG\n" + shutdown:
		default:
			t.Errorf("got %q", got)
		}
	}
	if stored == 0 {
		t.Error("no PUT was answered that had been done")
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d connections are counted when Serve has returned", n)
	}
}

// TestPutsOverTime holds that a loop that serves PUTs forgets no deadline.
func TestPutsOverTime(t *testing.T) {
	t.Parallel()
	e := newGatedEngine()
	close(e.gate)
	path := testSocket(t)
	ln, err := socket.Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	s := serveUntilEnd(t, Config{Engine: e, Limits: Limits{IdleTimeout: time.Second}, lineTimeout: time.Second}, ln) // a busy machine asks within it
	for _, behind := range []string{"", "PI"} {
		c := dialSocket(t, path)
		c.send(putLine("wxidle") + behind)
		c.want(c.line(), "OK")
		c.want(c.rest(), "")
		eventually(t, "it is closed", func() bool { return s.open.Load() == 0 })
	}
}

// TestIdleWorkersBounded checks that goroutines end which were started for batches while the disk
// hung.
func TestIdleWorkersBounded(t *testing.T) {
	poll, err := epoll.New()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	l := &loop{poll: poll, batches: newBatches()}
	for i := range 2 * underway {
		if waits := l.giveBack(&batch{loop: l}); waits != (i < underway) {
			t.Errorf("the one at %d waits for another: %v", i, waits)
		}
	}
	if len(l.batches.done) != 2*underway {
		t.Errorf("%d batches are given back, want %d", len(l.batches.done), 2*underway)
	}
}
