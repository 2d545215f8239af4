package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
	"tokend/daemon/credential"
)

// auditLines returns what the audit says, a line each, without what is not its own.
func auditLines(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if _, text, ok := strings.Cut(line, "audit: audit: "); ok {
			lines = append(lines, strings.TrimSuffix(text, "\n"))
		}
	}
	return lines
}

// One line for each thing that was done, or refused, and none for what was only read.
func TestAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		engine := newFakeEngine()
		engine.tell(token, fetched{ttl: time.Hour, value: "canary-new"})
		engine.tell(heldToken, fetched{err: &credential.Error{Reason: credential.Refused, RetryAfter: credential.Never, Message: "errcode=40125 canary"}})
		engine.tell(cold, fetched{err: errFault})
		p := &peers{}
		r := start(t, Config{Engine: engine, Inbox: fakeInbox{engine}, Logger: testLogger(&log), peer: p.of, Rules: []access.Rule{
			{UIDs: []uint32{alice}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "REJECT", "PUSH"}},
			{UIDs: []uint32{bob}, Names: []string{platform + "/*"}, Verbs: []string{"EXCHANGE", "PUT", "PUSH", "IMPORT", "REFRESH"}},
		}})
		for _, ask := range []struct {
			uid     uint32
			request string
		}{
			{alice, "GET " + token},
			{alice, "REJECT " + token + " canary"},
			{alice, "REFRESH " + token},
			{alice, "GET " + workToken},
			{alice, "LIST"},
			{alice, "EXCHANGE " + platform + " canary"},
			{alice, "PUSH " + platform + " c4fec4fe2c3d4e5f60718293a4b5c6d7e8f90123 1 canary canary"},
			{bob, "PUT " + aGrant + " canary"},
			{bob, "EXCHANGE " + platform + " canary"},
			{bob, "EXCHANGE " + platform + " queryauthcode@@@01"},
			{bob, "PUSH " + platform + " c4fec4fe2c3d4e5f60718293a4b5c6d7e8f90123 1 canary canary"},
			{bob, "PUSH " + platform + " " + fakeSignature + " 1 canary canary"},
			{bob, "IMPORT " + platform},
			{carol, "GET " + token},
			{0, "REFRESH " + heldToken},
			{0, "REFRESH " + cold},
			{0, "GET " + workToken},
			{0, "LIST"},
			{0, "STATUS " + token},
			{0, "GET nosuch/name/canary"},
		} {
			c := r.dialAs(t, p, ask.uid)
			c.ask("%s", ask.request)
			c.Close()
		}
		const who = " uid=%d user=%[1]d pid=0 unit=- "
		as := func(uid uint32) string { return fmt.Sprintf(who, uid) }
		root := " uid=0 user=root pid=0 unit=- "
		want := []string{
			"verb=REJECT name=" + token + as(alice) + "outcome=ok",
			"verb=REFRESH name=" + token + as(alice) + "outcome=DENIED",
			"verb=GET name=" + workToken + as(alice) + "outcome=NOT_FOUND",
			"verb=LIST name=-" + as(alice) + "outcome=DENIED",
			"verb=EXCHANGE name=" + platform + as(alice) + "outcome=NOT_FOUND",
			"verb=PUSH name=" + platform + as(alice) + "outcome=NOT_FOUND",
			"verb=PUT name=" + aGrant + as(bob) + "outcome=ok",
			"verb=EXCHANGE name=" + platform + as(bob) + "outcome=UPSTREAM",
			"verb=EXCHANGE name=" + platform + "/wxcustomer" + as(bob) + "outcome=ok",
			"verb=PUSH name=" + platform + as(bob) + "outcome=DENIED",
			"verb=PUSH name=" + platform + as(bob) + "outcome=ok",
			"verb=IMPORT name=" + platform + as(bob) + "outcome=ok",
			"verb=CONNECT name=-" + as(carol) + "outcome=no_rule",
			"verb=GET name=" + token + as(carol) + "outcome=NOT_FOUND",
			"verb=REFRESH name=" + heldToken + root + "outcome=UPSTREAM",
			"verb=REFRESH name=" + cold + root + "outcome=INTERNAL",
		}
		if got := auditLines(log.String()); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("\n got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if text := log.String(); strings.Contains(text, "canary") && !onlyFault(text) {
			t.Errorf("the log contains a value:\n%s", text)
		}
	})
}

// onlyFault reports whether the fault that the engine calls canary-fault is the only canary in
// text.
func onlyFault(text string) bool {
	return !strings.Contains(strings.ReplaceAll(text, errFault.Error(), ""), "canary")
}

// A peer that closes before the outcome is known is logged as gone.
func TestAuditOfWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		r := start(t, Config{Logger: testLogger(&log), peer: as(alice)})
		c := r.ln.dial(t)
		c.send("REJECT " + token + " tok-01\n")
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if text := log.String(); !strings.Contains(text, "verb=REJECT") || !strings.Contains(text, "outcome=gone") {
			t.Errorf("want it in\n%s", text)
		}
	})
}

// Who is refused on and on, or rejects on and on, writes some lines and no more; the next one
// says how many are missing, and what a few may do is never missing.
func TestAuditIsNoAmplifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		p := &peers{next: alice}
		r := start(t, Config{Logger: testLogger(&log), peer: p.of})
		r.engine.tell(token, fetched{ttl: time.Hour, value: "tok-01"})
		c := r.ln.dial(t)
		const n = 5000
		repeat := func(request string) {
			c.send(strings.Repeat(request+"\n", n))
			c.lines(n)
		}
		repeat("REFRESH " + token)
		repeat("REJECT " + token + " tok-00")
		if got, want := len(auditLines(log.String())), denialLines.burst+actLines.burst; got != want {
			t.Errorf("%d lines for %d requests, want %d", got, 2*n, want)
		}
		time.Sleep(time.Minute)
		c.ask("REFRESH %s", token)
		c.ask("REFRESH %s", token)
		lines := auditLines(log.String())
		missing := 0
		for _, line := range lines {
			var omitted int
			if _, last, ok := strings.Cut(line, " omitted="); ok {
				if _, err := fmt.Sscan(last, &omitted); err != nil {
					t.Error(err)
				}
			}
			missing += omitted
		}
		if want := 2*n - denialLines.burst - actLines.burst; missing != want {
			t.Errorf("%d lines are reported as omitted, want %d", missing, want)
		}
		if got := lines[len(lines)-1]; strings.Contains(got, "omitted") {
			t.Errorf("said twice: %s", got)
		}
		root := r.dialAs(t, p, 0)
		log.reset()
		for i := range 500 {
			root.want(root.ask("PUT %s/wx%d/refresh_token v", platform, i), "OK")
		}
		if got := strings.Count(log.String(), "verb=PUT"); got != 500 {
			t.Errorf("%d lines for 500 grants, want one for each", got)
		}
		for _, stat := range r.users.total().list() {
			if stat.Key == "unaudited" && stat.Value != 2*n-80 {
				t.Errorf("STATS says %d left out, want %d", stat.Value, 2*n-80)
			}
		}
	})
}

// Nor do ten thousand users together.
func TestAuditBoundedForAllUsers(t *testing.T) {
	var log syncBuffer
	s := New(Config{Engine: newFakeEngine(), Logger: testLogger(&log)})
	for uid := range uint32(10_000) {
		drive(t, sessionOf(s, access.Peer{UID: 4_000_000_000 + uid}), []byte("REFRESH "+token+"\n"))
	}
	if got := len(auditLines(log.String())); got < allLines.burst || got > allLines.burst+500 {
		t.Errorf("%d lines for 10000 refusals, want about %d", got, allLines.burst)
	}
}

// The phrase and the keys are what log tools are made for.
func TestAuditKeys(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Engine: newFakeEngine(), Logger: hclog.New(&hclog.LoggerOptions{Name: "server", Output: &log, JSONFormat: true})})
	drive(t, sessionOf(s, access.Peer{UID: alice, PID: 1 << 30}), []byte("REFRESH "+token+"\n"))
	for _, want := range []string{
		`"@message":"audit"`, `"@module":"server.audit"`, `"@level":"warn"`, `"verb":"REFRESH"`, `"name":"` + token + `"`,
		fmt.Sprintf(`"uid":%d`, uint32(alice)), fmt.Sprintf(`"user":"%d"`, uint32(alice)), `"pid":1073741824`, `"unit":"-"`, `"outcome":"DENIED"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("want %s in %s", want, &log)
		}
	}
}

// Reading is not audited, and costs nothing for it.
func TestAuditOfReadsIsNone(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Engine: newFakeEngine(), Sign: fakeSign, Logger: testLogger(&log)})
	drive(t, sessionOf(s, access.Peer{UID: alice}), []byte("GET "+token+"\nSIGN "+ticket+" https://example.com/\nLIST\nSTATS\nGET a/b/c\n"))
	if strings.Contains(log.String(), "audit") {
		t.Errorf("want nothing, got\n%s", &log)
	}
}

func (s *syncBuffer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

func TestUserNames(t *testing.T) {
	var ns names
	for uid, want := range map[uint32]string{0: "root", guest: "4000000000"} {
		for range 2 {
			if got := ns.of(uid); got != want {
				t.Errorf("uid %d\n got %q\nwant %q", uid, got, want)
			}
		}
	}
	for uid := range uint32(5000) {
		ns.of(4_000_000_000 + uid)
	}
	if n := len(ns.all); n > maxNames+1 {
		t.Errorf("%d names are kept, want at most %d", n, maxNames)
	}
}

// A job that the audit makes of a refusal does not hold up what is behind it.
func TestRefusalsKeepTheirOrder(t *testing.T) {
	s := sessionOf(New(Config{Engine: newFakeEngine()}), access.Peer{UID: alice})
	got, _ := drive(t, s, []byte(strings.Repeat("PING\nREFRESH "+token+"\n", 50)))
	if want := strings.Repeat("OK PONG\nERR DENIED - REFRESH is not granted to this user\n", 50); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
