package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

const fakeSignature = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"

// taker is an engine and an inbox that writes down what it is handed, and answers err.
// It embeds no engine: a test that asks it for anything else fails.
type taker struct {
	Engine
	taken []string
	err   error
}

func (e *taker) take(what ...any) error {
	e.taken = append(e.taken, strings.TrimSuffix(fmt.Sprintln(what...), "\n"))
	return e.err
}

func (e *taker) Put(_ context.Context, name string, value secret.Text) error {
	return e.take("put", name, string(value))
}

func (e *taker) Exchange(_ context.Context, owner string, code secret.Text) (string, error) {
	return owner + "/wxnew", e.take("exchange", owner, string(code))
}

func (e *taker) Import(_ context.Context, owner string, offset int) (credential.ImportPage, error) {
	return credential.ImportPage{Total: 3, Kept: 2, Next: offset + 500}, e.take("import", owner, offset)
}

func (e *taker) Receive(_ context.Context, owner, signature, timestamp, nonce, encrypt string) error {
	return e.take("receive", owner, signature, timestamp, nonce, encrypt)
}

// Every field arrives where it belongs, byte for byte, up to the longest there is.
func TestFieldsArrive(t *testing.T) {
	long := strings.Repeat("Q+/=", protocol.MaxEncrypt/4)
	for _, tt := range []struct{ line, taken, answer string }{
		{"PUT " + aGrant + " refresh@@@01", "put " + aGrant + " refresh@@@01", "OK\n"},
		{"put a/b/c " + long[:protocol.MaxValue], "put a/b/c " + long[:protocol.MaxValue], "OK\n"},
		{"EXCHANGE " + platform + " code@@@01", "exchange " + platform + " code@@@01", "OK " + platform + "/wxnew\n"},
		{"IMPORT " + platform, "import " + platform + " 0", "OK 3 2 500\n"},
		{"IMPORT " + platform + " 1500", "import " + platform + " 1500", "OK 3 2 2000\n"},
		{"PUSH " + platform + " " + fakeSignature + " 0946684800 n-1 YQ+/==", "receive " + platform + " " + fakeSignature + " 0946684800 n-1 YQ+/==", "OK\n"},
		{"PUSH " + platform + " " + fakeSignature + " 1 n " + long, "receive " + platform + " " + fakeSignature + " 1 n " + long, "OK\n"},
	} {
		e := &taker{}
		s := sessionOf(New(Config{Engine: e, Inbox: e}), access.Peer{})
		got, _ := drive(t, s, []byte(tt.line+"\r\n"))
		if got != tt.answer {
			t.Errorf("%.60s\n got %q\nwant %q", tt.line, got, tt.answer)
		}
		if len(e.taken) != 1 || e.taken[0] != tt.taken {
			t.Errorf("%.60s\n got %.200q\nwant %.200q", tt.line, e.taken, tt.taken)
		}
	}
}

// TestSubmittedNotShown checks that no reply and no log line contains a submitted value.
func TestSubmittedNotShown(t *testing.T) {
	const canary = "c4n4ry"
	const canarySignature = "c4fec4fe2c3d4e5f60718293a4b5c6d7e8f90123"
	lines := "PUT " + aGrant + " " + canary + "\n" +
		"EXCHANGE " + platform + " " + canary + "\n" +
		"PUSH " + platform + " " + canarySignature + " 1 " + canary + " " + canary + "\n" +
		"PUT " + canary + " " + aGrant + "\n" + // swapped
		"EXCHANGE " + canary + " " + platform + "\n" +
		"PUSH " + canary + " " + canarySignature + " 1 n YQ\n" +
		"PUSH " + platform + " " + canary + " 1 n YQ\n" +
		"IMPORT " + platform + " " + canary + "\n" +
		"PUTT " + aGrant + " " + canary + "\n" +
		canary + "\n"
	for _, err := range []error{
		nil,
		errFault,
		context.DeadlineExceeded,
		&credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: "not what belongs there"},
		&credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "elsewhere"},
	} {
		var log bytes.Buffer
		e := &taker{err: err}
		s := sessionOf(New(Config{Engine: e, Inbox: e, Logger: testLogger(&log)}), access.Peer{})
		got, _ := drive(t, s, []byte(lines))
		if n := strings.Count(got, "\n"); n != 10 || len(e.taken) != 3 {
			t.Errorf("%v: %d replies and %d things taken, want 10 and 3", err, n, len(e.taken))
		}
		for _, secret := range []string{canary, canarySignature} {
			if strings.Contains(got, secret) {
				t.Errorf("%v: shown to the peer", err)
			}
			if strings.Contains(log.String(), secret) {
				t.Errorf("%v: shown in the log", err)
			}
		}
		if strings.Contains(got, "canary-fault") {
			t.Errorf("%v: a fault is shown to the peer", err)
		}
	}
}

// TestSubmittersLogged checks that the audit log has the user that submitted a grant.
func TestSubmittersLogged(t *testing.T) {
	var log bytes.Buffer
	e := &taker{}
	s := sessionOf(New(Config{Engine: e, Logger: testLogger(&log)}), access.Peer{UID: 0, PID: 4711})
	drive(t, s, []byte("PUT "+aGrant+" v\nEXCHANGE "+platform+" c\nIMPORT "+platform+"\n"))
	for _, want := range []string{"verb=PUT name=" + aGrant, "verb=EXCHANGE name=" + platform + "/wxnew", "verb=IMPORT name=" + platform} {
		if !strings.Contains(log.String(), "audit: audit: "+want+" uid=0 user=root pid=4711") {
			t.Errorf("want a line with %q, got\n%s", want, &log)
		}
	}
	log.Reset()
	e.err = errors.New("no room on the disk")
	drive(t, s, []byte("PUT "+aGrant+" v\n"))
	if strings.Contains(log.String(), "outcome=ok") {
		t.Errorf("a refused value is logged as stored:\n%s", &log)
	}
}

func TestPushWithoutInbox(t *testing.T) {
	s, _ := newTestSession(t)
	got, _ := drive(t, s, []byte("PUSH "+platform+" "+fakeSignature+" 1 n YQ\n"))
	if want := "ERR NOT_FOUND - no such owner\n"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// A GET that waits for a ticket is answered when another connection puts the ticket.
func TestPutEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		waiting, other := r.ln.dial(t), r.ln.dial(t)
		waiting.send("GET " + pushed + "\n")
		time.Sleep(10 * time.Second)
		other.want(other.ask("PUT %s ticket@@@01", pushed), "OK")
		waiting.want(waiting.line(), "OK 43200 ticket@@@01")
	})
}

// slowTaker takes as long as it is let.
type slowTaker struct{ taker }

func (e *slowTaker) Put(ctx context.Context, _ string, _ secret.Text) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestPutThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Engine: &slowTaker{}, waitTimeout: 30 * time.Second})
		c := r.ln.dial(t)
		d := took(func() {
			c.want(c.ask("PUT %s v", aGrant), "ERR UNAVAILABLE 1 timed out; the operation continues")
		})
		if d != 30*time.Second {
			t.Errorf("answered after %s, want 30s", d)
		}
		c.send("PUT " + aGrant + " v\n")
		synctest.Wait()
		r.stop()
		c.want(c.rest(), "ERR SHUTDOWN 1 the daemon is stopping\n")
	})
}

func TestStatusOfGrantsAndHolds(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		about string
		st    credential.Status
		want  string
	}{
		{"nothing", credential.Status{}, "\nhold_until -\n"},
		{"a hold that time ends", credential.Status{HoldUntil: at}, "\nhold_until 2026-01-02T03:04:05Z\n"},
		{"a hold that an operator may end sooner", credential.Status{HoldUntil: at, Held: true}, "\nhold_until 2026-01-02T03:04:05Z\n"},
		{"a hold that only an operator ends", credential.Status{Held: true}, "\nhold_until action\n"},
		{"no grant", credential.Status{}, "\nsource -\ngenerations -\n"},
		{"a grant", credential.Status{Source: "exchange", Generations: 3}, "\nsource exchange\ngenerations 3\n"},
	} {
		s := sessionOf(New(Config{Engine: statusEngine{st: tt.st}}), access.Peer{})
		if got, _ := drive(t, s, []byte("STATUS "+token+"\n")); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q in it", tt.about, got, tt.want)
		}
	}
}

type statusEngine struct {
	Engine
	st credential.Status
}

func (e statusEngine) Loaded() <-chan struct{} { return closed }

func (e statusEngine) Status(string) (credential.Status, error) { return e.st, nil }
