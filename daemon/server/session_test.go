package server

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/protocol"
)

// sessionOf returns the session of a peer that nobody has let in or counted.
func sessionOf(s *Server, peer access.Peer) *session {
	return newSession(s, peer, s.users.get(peer.UID))
}

// newTestSession returns a session of a peer that may do everything, and its engine.
func newTestSession(t testing.TB) (*session, *fakeEngine) {
	t.Helper()
	engine := newFakeEngine()
	s := New(Config{Engine: engine, Sign: fakeSign, Version: "1.2.3"})
	return sessionOf(s, access.Peer{}), engine
}

// drive does what a driver does, with bytes that arrive in the given pieces, and
// returns what was written and the last thing that the session wanted.
func drive(t testing.TB, s *session, pieces ...[]byte) (written string, last action) {
	t.Helper()
	var in []byte
	var out strings.Builder
	write := func() error {
		out.Write(s.out)
		s.out = s.out[:0]
		return nil
	}
	for _, piece := range pieces {
		in = append(in, piece...)
		for {
			n, next := s.step(in)
			in, last = in[n:], next
			if next == wait {
				if err := s.perform(t.Context(), s.takeJob(), write); err != nil {
					t.Fatalf("job: %v", err)
				}
			}
			if err := write(); err != nil {
				t.Fatal(err)
			}
			if next == end || next == refuse {
				return out.String(), next
			}
			if next == more {
				break
			}
		}
	}
	return out.String(), last
}

const script = "PING\r\nget " + token + "\nVERSION\nLIST work/\nGET " + workToken + "\n\nNOSUCH\nSTATUS " + token + "\nGET a/b/c\nQUIT\n"

// Wherever the bytes are cut, the answer is the same.
func TestSessionIndependentOfReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestSession(t)
		want, _ := drive(t, s, []byte(script))
		if !strings.HasPrefix(want, "OK PONG\nOK 7200 tok-01\nOK tokend 1.2.3 protocol 1\nOK 2\n") || !strings.HasSuffix(want, "\nOK\n") {
			t.Fatalf("unexpected answers:\n%s", want)
		}
		for i := range script {
			s, _ := newTestSession(t)
			got, last := drive(t, s, []byte(script[:i]), []byte(script[i:]))
			if got != want {
				t.Fatalf("cut at %d:\n got %q\nwant %q", i, got, want)
			}
			if last != end {
				t.Fatalf("cut at %d: the session does not end after QUIT", i)
			}
		}
	})
}

// TestSessionHitForms: the short way of a hit and the long one of
// everything else differ in nothing that anybody sees.
func TestSessionHitForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const value = "OK 7200 tok-01\n"
		for _, c := range []struct{ line, want string }{
			{"GET " + token + "\n", value},
			{"GET " + token + "\r\n", value},
			{"get " + token + "\n", value},
			{"GET " + token + " \n", "ERR BAD_REQUEST - "},
			{"GET  " + token + "\n", "ERR BAD_REQUEST - "},
			{" GET " + token + "\n", "ERR BAD_REQUEST - "},
			{"GET " + token + " x\n", "ERR BAD_REQUEST - "},
			{"GET \x00\n", "ERR BAD_REQUEST - "},
			{"GET \n", "ERR BAD_REQUEST - "},
			{"GET\n", "ERR BAD_REQUEST - "},
			{"GET " + token[1:] + "\n", "ERR NOT_FOUND - "},
		} {
			s, _ := newTestSession(t)
			got, _ := drive(t, s, []byte(c.line))
			if c.want == value && got != value || !strings.HasPrefix(got, c.want) {
				t.Errorf("%q\n got %q\nwant %q", c.line, got, c.want)
			}
			reads, hits := s.user.stats.reads.Load(), s.user.stats.hits.Load()
			if held := c.want == value; held != (hits == 1) || held && reads != 1 {
				t.Errorf("%q: %d reads and %d hits counted", c.line, reads, hits)
			}
		}

		// What is held is not given to whom it is not granted.
		s, _ := newTestSession(t)
		s.server.SetRules([]access.Rule{{UIDs: []uint32{guest}, Names: []string{token}, Verbs: []string{"LIST"}}})
		s = sessionOf(s.server, access.Peer{UID: guest})
		got, _ := drive(t, s, []byte("GET "+token+"\nGET "+heldToken+"\n"))
		if want := "ERR DENIED - "; !strings.HasPrefix(got, want) || strings.Contains(got, "tok-") {
			t.Errorf("without the right to it\n got %q\nwant %q", got, want)
		}
	})
}

func TestSessionGetHitDoesNotAllocate(t *testing.T) {
	rules := []access.Rule{
		{UIDs: []uint32{guest}, Names: []string{"mini_program/*", "*/jsapi_ticket"}, Verbs: []string{"GET"}},
		{GIDs: []uint32{33}, Names: []string{"official_account/*", "work/*/access_token"}, Verbs: []string{"GET"}},
	}
	for _, tt := range []struct {
		name  string
		rules []access.Rule
	}{{"without rules", nil}, {"with rules", rules}} {
		t.Run(tt.name, func(t *testing.T) {
			s := sessionOf(New(Config{Engine: newFakeEngine(), Rules: tt.rules}), access.Peer{UID: guest, Groups: []uint32{33}})
			// Two names, so that the counter of the last one does not hide the table's.
			batch := []byte(strings.Repeat("GET "+token+"\nGET "+workToken+"\n", 8))
			s.step(batch)
			if got := bytes.Count(s.out, []byte("OK ")); got != 16 {
				t.Fatalf("%d answers, want 16:\n%s", got, s.out)
			}
			allocs := testing.AllocsPerRun(100, func() {
				s.out = s.out[:0]
				s.step(batch)
			})
			if allocs != 0 {
				t.Errorf("%v allocations for 16 GETs, want 0", allocs)
			}
		})
	}
}

// TestRejectStaleInLoop checks that a REJECT of a replaced value is answered without a job, unless
// it is logged in the audit log.
func TestRejectStaleInLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		at := time.Now()
		s := sessionOf(New(Config{Engine: newFakeEngineAt(&at), Logger: testLogger(&log)}), access.Peer{UID: alice})
		const n = 100
		got, _ := drive(t, s, []byte(strings.Repeat("REJECT "+token+" tok-00\n", n)))
		if want := strings.Repeat("OK 7200 tok-01\n", n); got != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
		if got := len(auditLines(log.String())); got != actLines.burst {
			t.Errorf("%d audit lines, want %d", got, actLines.burst)
		}
		batch := []byte(strings.Repeat("REJECT "+token+" tok-00\n", 8))
		allocs := testing.AllocsPerRun(100, func() {
			s.out = s.out[:0]
			if n, next := s.step(batch); n != len(batch) || next != more {
				t.Fatalf("consumed %d of %d bytes, wants %v", n, len(batch), next)
			}
		})
		if allocs != 0 {
			t.Errorf("%v allocations for 8 REJECTs, want 0", allocs)
		}
		if n := s.user.stats.waits.Load(); n != 0 {
			t.Errorf("%d are counted as waits, want 0", n)
		}
		if asked, rejects := s.user.stats.asked[protocol.VerbReject].Load(), s.user.stats.rejects.Load(); asked != rejects || asked < 900 {
			t.Errorf("%d requests and %d rejects are counted, want as many as there were", asked, rejects)
		}

		// The current value is for the engine to replace.
		s.out = s.out[:0]
		if _, next := s.step([]byte("REJECT " + token + " tok-01\n")); next != wait {
			t.Errorf("a REJECT of the current value wants %v, want a job", next)
		}
		s.takeJob()
		s.release()

		// What is not granted is not answered.
		s.server.SetRules([]access.Rule{{UIDs: []uint32{alice}, Names: []string{token}, Verbs: []string{"GET"}}})
		if got, _ := drive(t, s, []byte("REJECT "+token+" tok-00\n")); !strings.HasPrefix(got, "ERR DENIED - ") {
			t.Errorf("without the right to it: got %q", got)
		}
	})
}

func TestSessionClockOncePerStep(t *testing.T) {
	s, engine := newTestSession(t)
	batch := []byte(strings.Repeat("GET "+token+"\nSIGN "+ticket+" https://example.com/\n", 8))
	for want := 1; want <= 2; want++ {
		if n, next := s.step(batch); n != len(batch) || next != more {
			t.Fatalf("consumed %d of %d bytes, wants %v", n, len(batch), next)
		}
		if engine.looks != want {
			t.Errorf("after %d batches: looked %d times, want %[1]d", want, engine.looks)
		}
	}
}

// timeTakingEngine's list takes as long as workToken lives.
type timeTakingEngine struct{ *fakeEngine }

func (e timeTakingEngine) List(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing]) {
	time.Sleep(10 * time.Minute)
	return e.fakeEngine.List(work, prefix, may)
}

// However long a request takes, those behind it, which arrived with it, are answered with what is
// valid then.
func TestSessionExpiryInBatch(t *testing.T) {
	for _, ask := range []string{"GET " + workToken, "SIGN work/ww0123/1000002/jsapi_ticket https://example.com/"} {
		synctest.Test(t, func(t *testing.T) {
			engine := newFakeEngine()
			engine.creds["work/ww0123/1000002/jsapi_ticket"] = &fakeCred{kind: "ticket", state: credential.Fresh, value: "ticket-w", end: engine.now().Add(10 * time.Minute)}
			s := sessionOf(New(Config{Engine: timeTakingEngine{engine}, Sign: fakeSign, waitTimeout: time.Second}), access.Peer{})
			got, _ := drive(t, s, []byte(ask+"\nGET "+token+"\nLIST nothing\n"+ask+"\nGET "+token+"\n"))
			lines := strings.Split(got, "\n")
			if len(lines) != 6 || !strings.HasPrefix(lines[0], "OK ") || !strings.HasPrefix(lines[3], "ERR ") {
				t.Fatalf("%s\ngot %q\nwant it served, and not after its end", ask, lines)
			}
			// The list has taken ten minutes, and the miss has been waited for a second.
			if before, after := "OK 7200 tok-01", "OK 6599 tok-01"; lines[1] != before || lines[4] != after {
				t.Errorf("got  %q, %q\nwant %q, %q", lines[1], lines[4], before, after)
			}
		})
	}
}

// Many requests at once do not make many replies at once.
func TestSessionBoundsItsOut(t *testing.T) {
	s, engine := newTestSession(t)
	engine.creds[token].value = "long"
	for len(engine.creds[token].value) < 4096 {
		engine.creds[token].value += engine.creds[token].value
	}
	in := []byte(strings.Repeat("GET "+token+"\n", 100))
	flushes := 0
	for len(in) > 0 {
		n, next := s.step(in)
		in = in[n:]
		if len(s.out) > maxOut+protocol.MaxValue {
			t.Fatalf("out has grown to %d bytes", len(s.out))
		}
		if next == flush {
			flushes++
		}
		s.out = s.out[:0]
	}
	if flushes < 5 {
		t.Errorf("%d flushes of 400 kB, want at least 5", flushes)
	}
}

func TestSessionListIsWrittenInPieces(t *testing.T) {
	s, _ := newTestSession(t)
	s.server.cfg.Engine = hugeEngine{n: 10_000}
	if _, next := s.step([]byte("LIST\n")); next != wait {
		t.Fatalf("LIST wants %v, want a job", next)
	}
	largest, lines := 0, 0
	job := s.takeJob()
	if job.waits && !job.brief {
		t.Error("LIST is looked out for at once")
	}
	write := func() error {
		largest, lines = max(largest, len(s.out)), lines+bytes.Count(s.out, []byte("\n"))
		s.out = s.out[:0]
		return nil
	}
	if err := job.run(t.Context(), write); err != nil {
		t.Fatal(err)
	}
	_ = write()
	if lines != 10_001 || largest > maxOut+1024 {
		t.Errorf("%d lines in pieces of up to %d bytes, want 10001 and at most %d", lines, largest, maxOut+1024)
	}
	gone := fmt.Errorf("gone")
	s.step([]byte("LIST\n"))
	if err := s.perform(t.Context(), s.takeJob(), func() error { return gone }); err != gone {
		t.Errorf("LIST to a peer that is gone\n got %v\nwant %v", err, gone)
	}
}

// hugeEngine has a list that does not fit in one buffer. It embeds no engine: a
// test that asks it for anything else fails.
type hugeEngine struct {
	Engine
	n int
}

func (e hugeEngine) Loaded() <-chan struct{} { return closed }

func (e hugeEngine) List(*throttle.Work, string, func(string) bool) (int, iter.Seq[credential.Listing]) {
	all := make([]credential.Listing, e.n)
	for i := range all {
		all[i] = credential.Listing{Name: fmt.Sprintf("work/ww%06d/1/access_token", i), State: credential.Fresh, TTL: time.Hour}
	}
	return len(all), slices.Values(all)
}

func TestSessionAbuse(t *testing.T) {
	const overlong = "ERR BAD_REQUEST - the line is longer than 65536 bytes; closing the connection\n"
	line := func(n int) string { return "PING" + strings.Repeat("x", n-5) + "\n" }
	tests := []struct {
		name, in string
		want     string // the end of what is answered
		last     action
	}{
		{"nothing", "", "", more},
		{"no newline", "PING", "", more},
		{"an empty line", "\n", "ERR BAD_REQUEST - the line is empty\n", more},
		{"NUL bytes", strings.Repeat("\x00", 100) + "\nPING\n", "OK PONG\n", more},
		{"a lone CR", "\r\nPING\n", "OK PONG\n", more},
		{"binary", "\xff\xfe\xfd\n", "ERR BAD_REQUEST - the line does not begin with a verb\n", more},
		{"the longest line", line(protocol.MaxLine) + "PING\n", "OK PONG\n", more},
		{"one byte more", line(protocol.MaxLine+1) + "PING\n", overlong, refuse},
		{"a megabyte without newline", strings.Repeat("x", 1<<20), overlong, refuse},
		{"after an overlong line", "PING\n" + strings.Repeat("x", 1<<17) + "\nPING\n", "OK PONG\n" + overlong, refuse},
		{"1000 requests at once", strings.Repeat("PING\n", 1000), strings.Repeat("OK PONG\n", 1000), more},
		{"requests after QUIT", "QUIT\nPING\n", "OK\n", end},
		{"a value with a secret in it", "REJECT " + token + " canary\x01canary\nPING\n", "OK PONG\n", more},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newTestSession(t)
			got, last := drive(t, s, []byte(tt.in))
			if !strings.HasSuffix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("\n got %.200q\nwant %.200q at its end", got, tt.want)
			}
			if last != tt.last {
				t.Errorf("wants %v at the end, want %v", last, tt.last)
			}
			if strings.Contains(got, "canary") {
				t.Errorf("a value came back: %q", got)
			}
		})
	}
}

// New rules bind connections that are open.
func TestSessionObeysNewRules(t *testing.T) {
	s := sessionOf(New(Config{Engine: newFakeEngine()}), access.Peer{UID: guest})
	ask := func() string {
		got, _ := drive(t, s, []byte("GET "+token+"\n"))
		return strings.SplitN(got, " ", 3)[0]
	}
	if got := ask(); got != "OK" {
		t.Errorf("without rules\n got %s\nwant OK", got)
	}
	s.server.SetRules([]access.Rule{{UIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"GET"}}})
	if got := ask(); got != "ERR" {
		t.Errorf("with rules for another\n got %s\nwant ERR", got)
	}
}

// A job that is begun when the server stops asks the engine for nothing.
func TestSessionAsksNothingWhenStopping(t *testing.T) {
	s, engine := newTestSession(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, next := s.step([]byte("GET " + cold + "\n")); next != wait {
		t.Fatalf("a miss wants %v, want a job", next)
	}
	if err := s.perform(ctx, s.takeJob(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.out), "ERR SHUTDOWN 1 the daemon is stopping\n"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if ever, _ := engine.waiters(); ever != 0 {
		t.Errorf("the engine was asked %d times, want 0", ever)
	}
}

func TestStatusSaysWhoReads(t *testing.T) {
	engine := newFakeEngine()
	srv := New(Config{Engine: engine, Sign: fakeSign})
	for i, uid := range []uint32{0, 4_000_000_001, 4_000_000_001} {
		s := sessionOf(srv, access.Peer{UID: uid})
		drive(t, s, []byte("GET "+token+"\nGET "+workToken+"\nGET "+token+"\n"))
		if i == 0 {
			continue
		}
		drive(t, s, []byte("SIGN "+ticket+" https://example.com/\n"))
	}
	s := sessionOf(srv, access.Peer{})
	for name, want := range map[string]string{
		token:  "4000000001=4,root=2",
		ticket: "4000000001=2",
		cold:   "-",
	} {
		got, _ := drive(t, s, []byte("STATUS "+name+"\n"))
		if !strings.Contains(got, "\nused_by "+want+"\n") {
			t.Errorf("used_by of %s\n got %q\nwant %q", name, got[strings.LastIndex(got, "used_by"):], want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&credential.Error{Reason: credential.NotFound, Message: "elsewhere"}, "ERR NOT_FOUND - no such credential\n"},
		{&credential.Error{Reason: credential.NoTicket, RetryAfter: time.Minute, Message: "no ticket"}, "ERR WAITING 60 no ticket\n"},
		{&credential.Error{Reason: credential.Refused, RetryAfter: credential.Never, Message: "errcode=40125 x", Err: errFault}, "ERR UPSTREAM - errcode=40125 x\n"},
		{&credential.Error{Reason: credential.Unreachable, RetryAfter: 1500 * time.Millisecond, Message: "m"}, "ERR UNAVAILABLE 2 m\n"},
		{&credential.Error{Reason: credential.Limited, RetryAfter: 1, Message: "m"}, "ERR LIMITED 1 m\n"},
		{&credential.Error{Reason: credential.Reauth, RetryAfter: -5, Message: "m"}, "ERR REAUTH - m\n"},
		{&credential.Error{Reason: credential.Busy, RetryAfter: time.Second, Message: "two\nlines"}, "ERR BUSY 1 two lines\n"},
		{&credential.Error{Reason: credential.Stopping, RetryAfter: time.Second, Message: "m"}, "ERR SHUTDOWN 1 m\n"},
		{&credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "write-only"}, "ERR DENIED - write-only\n"},
		{&credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: "m"}, "ERR BAD_REQUEST - m\n"},
		{fmt.Errorf("wrapped: %w", &credential.Error{Reason: credential.Busy, Message: "m"}), "ERR BUSY 0 m\n"},
		{&credential.Error{Reason: 99, Message: "m"}, "ERR INTERNAL - internal error\n"},
		{context.DeadlineExceeded, "ERR UNAVAILABLE 1 timed out; the operation continues\n"},
		{context.Canceled, "ERR SHUTDOWN 1 the daemon is stopping\n"},
		{errFault, "ERR INTERNAL - internal error\n"},
	}
	for _, tt := range tests {
		if got := string(protocol.AppendError(nil, codeOf(tt.err))); got != tt.want {
			t.Errorf("%v\n got %q\nwant %q", tt.err, got, tt.want)
		}
	}
}
