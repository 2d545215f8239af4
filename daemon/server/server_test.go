package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
	"tokend/daemon/server/descriptors"
	"tokend/fetchers/secret"
)

// TestManyWaitOthersAreServed checks that other clients are answered while 200 wait for one
// credential, and that all 200 get the value when it is fetched.
func TestManyWaitOthersAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		var waiting []*client
		for range 200 {
			c := r.ln.dial(t)
			c.send("GET " + cold + "\n")
			waiting = append(waiting, c)
		}
		synctest.Wait()
		if _, now := r.engine.waiters(); now != 200 {
			t.Fatalf("%d wait, want 200", now)
		}
		other := r.ln.dial(t)
		if d := took(func() { other.want(other.ask("GET %s", token), "OK 7200 tok-01") }); d != 0 {
			t.Errorf("another credential took %s, want no time", d)
		}
		waiting[0].Close() // the first to ask leaves; nobody else is concerned
		time.Sleep(2 * time.Second)
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
		for _, c := range waiting[1:] {
			c.want(c.line(), "OK 3600 tok-02")
		}
		if n := r.users.total().waits.Load(); n != 200 {
			t.Errorf("%d waits counted, want 200", n)
		}
	})
}

func TestStopAnswersPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		idle, waiting, half := r.ln.dial(t), r.ln.dial(t), r.ln.dial(t)
		idle.want(idle.ask("PING"), "OK PONG")
		waiting.send("GET " + cold + "\nGET " + token + "\nGET " + heldToken + "\n")
		half.send("PIN")
		synctest.Wait()
		d := took(func() {
			r.stop()
			const stopping = "ERR SHUTDOWN 1 the daemon is stopping\n"
			waiting.want(waiting.rest(), stopping+"OK 7200 tok-01\n"+stopping)
			idle.want(idle.rest(), "")
			half.want(half.rest(), "")
			if err := <-r.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			r.done <- nil
		})
		if d != silentGrace { // half's first request is incomplete
			t.Errorf("stopping took %s, want %s", d, silentGrace)
		}
	})
}

func TestStopCutsAfterTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(t, Config{gracePeriod: 3 * time.Second, writeTimeout: time.Minute, Logger: testLogger(&log)})
		c := r.ln.dial(t)
		c.send("PING\n") // and never reads the answer
		synctest.Wait()
		d := took(func() {
			r.stop()
			if err := <-r.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			r.done <- nil
		})
		if d != 3*time.Second {
			t.Errorf("stopping took %s, want 3s", d)
		}
		if !strings.Contains(log.String(), "connections cut") {
			t.Errorf("nothing of it in the log:\n%s", &log)
		}
	})
}

func testLogger(w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: w})
}

func TestTooManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Limits: Limits{MaxConns: 2}, peer: eachAnother()})
		first, second := r.ln.dial(t), r.ln.dial(t)
		for _, c := range []*client{first, second} {
			c.send("PING\nPI") // and is not idle
			c.want(c.line(), "OK PONG")
		}
		third := r.ln.dial(t)
		third.send("GET " + token + "\n")
		third.want(third.rest(), "ERR BUSY 1 too many connections\n")

		first.Close()
		synctest.Wait()
		fourth := r.ln.dial(t)
		fourth.want(fourth.ask("PING"), "OK PONG")
	})
}

func TestAcceptOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		engine := newFakeEngine()
		ln := newPipeListener()
		for range 8 {
			ln.errs <- os.NewSyscallError("accept4", syscall.EMFILE)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s := New(Config{Engine: engine, peer: func(net.Conn) (access.Peer, error) { return access.Peer{}, nil }, Logger: testLogger(&log)})
		go func() { done <- s.Serve(ctx, ln) }()
		d := took(func() {
			c := ln.dial(t)
			c.want(c.ask("PING"), "OK PONG")
		})
		// The first four cost spares and no time; then 5 + 10 + 20 + 40 ms.
		if want := 75 * time.Millisecond; d != want {
			t.Errorf("served again after %s, want %s", d, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := strings.Count(log.String(), "cannot accept"); n != 1 {
			t.Errorf("%d lines in the log, want 1:\n%s", n, &log)
		}
	})
}

func TestStopWhileOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		for range 12 + descriptors.Spares {
			r.ln.errs <- syscall.ENFILE
		}
		time.Sleep(2 * time.Second) // in the middle of a pause
		d := took(func() {
			r.stop()
			c.want(c.rest(), "")
			if err := <-r.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			r.done <- nil
		})
		if d != silentGrace { // c has sent nothing
			t.Errorf("stopping took %s, want %s", d, silentGrace)
		}
	})
}

func TestServeReturnsFatalError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		done := make(chan error, 1)
		s := New(Config{Engine: newFakeEngine(), peer: func(net.Conn) (access.Peer, error) { return access.Peer{}, nil }})
		go func() { done <- s.Serve(t.Context(), ln) }()
		c := ln.dial(t)
		c.want(c.ask("PING"), "OK PONG")
		ln.errs <- syscall.EINVAL
		if err := <-done; !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Serve\n got %v\nwant %v", err, syscall.EINVAL)
		}
		c.want(c.rest(), "")
	})
}

func TestPanicDropsItsConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(t, Config{Logger: testLogger(&log)})
		r.engine.panics = heldToken
		other, bad := r.ln.dial(t), r.ln.dial(t)
		other.want(other.ask("PING"), "OK PONG")
		bad.send("GET " + heldToken + "\n")
		bad.want(bad.rest(), "")
		other.want(other.ask("PING"), "OK PONG")
		synctest.Wait() // until the bad one, which sees its end first, is counted out
		if n := r.open.Load(); n != 1 {
			t.Errorf("%d connections open, want 1", n)
		}
		text := log.String()
		if !strings.Contains(text, "stack=") || strings.Contains(text, "canary") {
			t.Errorf("want a stack in the log and nothing of what was thrown:\n%s", text)
		}
	})
}

// A panic inside a job must not leave the lookout behind: the bubble would fail.
func TestPanicInAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Sign: func(secret.Text, string, int64, string) string { panic("canary") }})
		c := r.ln.dial(t)
		c.send("SIGN work/ww0123/1000003/jsapi_ticket https://example.com/\n")
		r.engine.mu.Lock()
		r.engine.creds["work/ww0123/1000003/jsapi_ticket"] = &fakeCred{}
		r.engine.mu.Unlock()
		synctest.Wait()
		r.engine.tell("work/ww0123/1000003/jsapi_ticket", fetched{ttl: time.Hour, value: "t"})
		c.want(c.rest(), "")
	})
}

func TestFaultNumberInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(t, Config{Logger: testLogger(&log)})
		r.engine.tell(cold, fetched{err: errFault})
		c := r.ln.dial(t)
		first, second := c.ask("GET %s", cold), c.ask("GET %s", cold)
		const text = "ERR INTERNAL - internal error, see the log for request "
		for _, reply := range []string{first, second} {
			id, ok := strings.CutPrefix(reply, text)
			if !ok || !strings.Contains(log.String(), "request="+id+" ") {
				t.Errorf("got %q, want its number in the log:\n%s", reply, &log)
			}
		}
		if first == second {
			t.Errorf("two faults have one number: %q", first)
		}
		if !strings.Contains(log.String(), errFault.Error()) {
			t.Errorf("the detail is not in the log:\n%s", &log)
		}
	})
}

// TestManyFaultsFewLines checks that many faults of a user log few lines. Each reply has the
// number of a line in the log, and the next line has the number of omitted ones.
func TestManyFaultsFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := &peers{}
		r := start(t, Config{Logger: testLogger(&log), peer: p.of})
		r.engine.tell(cold, fetched{err: errFault})
		lines := func() int { return strings.Count(log.String(), "internal error") }
		c := r.dialAs(t, p, alice)
		const asked = 200
		for range asked {
			reply := c.ask("GET %s", cold)
			if _, id, ok := strings.Cut(reply, "see the log for request "); !ok || !strings.Contains(log.String(), "request="+id+" ") {
				t.Fatalf("got %q, want a number that is in the log:\n%s", reply, &log)
			}
		}
		if got := lines(); got != faultLines.burst {
			t.Fatalf("lines of %d faults: got %d, want %d", asked, got, faultLines.burst)
		}
		other := r.dialAs(t, p, bob)
		other.ask("GET %s", cold)
		if got, want := lines(), faultLines.burst+1; got != want {
			t.Errorf("lines when another user meets a fault: got %d, want %d", got, want)
		}
		time.Sleep(faultLines.each)
		c.ask("GET %s", cold)
		if want := fmt.Sprintf("omitted=%d\n", asked-faultLines.burst); !strings.HasSuffix(log.String(), want) {
			t.Errorf("want %q at the end of\n%s", want, log.String()[max(0, log.Len()-400):])
		}
	})
}

func TestUnknownPeerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{peer: func(net.Conn) (access.Peer, error) { return access.Peer{}, errors.New("who?") }})
		c := r.ln.dial(t)
		c.want(c.rest(), "")
	})
}

// syncBuffer is a log that is read while others write to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Nothing that the peer says or is answered reaches the log, at the finest level.
func TestLogHoldsNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(t, Config{Logger: testLogger(&log), peer: func(net.Conn) (access.Peer, error) { return access.Peer{UID: guest}, nil }})
		r.engine.creds[token].value = "canary-token"
		c := r.ln.dial(t)
		for _, request := range []string{
			"GET " + token, "REJECT " + token + " canary-older", "REFRESH " + token, "REJECT " + token + " canary canary",
			"REJECT canary-name canary", "canary-1", "GET " + token + " canary", "STATUS " + token,
		} {
			c.send(request + "\n")
			if reply := c.line(); strings.HasPrefix(reply, "ERR") && strings.Contains(reply, "canary") {
				t.Errorf("%s is answered %q", request, reply)
			}
		}
		c.Close()
		synctest.Wait()
		r.stop()
		synctest.Wait()
		if strings.Contains(log.String(), "canary") || log.Len() == 0 {
			t.Errorf("want a log without values:\n%s", &log)
		}
	})
}
