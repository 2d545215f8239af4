package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// keyRules let the guest read official accounts, and see one ticket that it may not read.
var keyRules = []access.Rule{
	{UIDs: []uint32{guest}, Names: []string{"official_account/*/access_token"}, Verbs: []string{"GET", "REJECT", "WATCH"}},
	{UIDs: []uint32{guest}, Names: []string{"official_account/*/jsapi_ticket"}, Verbs: []string{"LIST"}},
	{UIDs: []uint32{guest}, Names: []string{pushed}, Verbs: []string{"PUT"}},
}

// replyTo is reply for the guest, under keyRules.
func replyTo(t *testing.T, commands string) string {
	t.Helper()
	s, _ := newRespSession(t, access.Peer{UID: guest}, keyRules...)
	defer s.close()
	got, _ := drive(t, s, []byte(commands))
	return got
}

func TestRespKeys(t *testing.T) {
	for commands, want := range map[string]string{
		cmd("GET " + token):      bulks("tok-01"),
		cmd("GET cache_wx0123"):  bulks("tok-01"),
		cmd("GET json:wx0123"):   bulks(`{"token":"tok-01","ttl":7199}`),
		cmd("GET cache_nobody"):  null2,
		cmd("GET bad_wx0123"):    null2,
		cmdOf("GET", ""):         null2,
		cmdOf("GET", "a b"):      null2,
		cmd("GET " + unknownKey): null2,
		cmd("GET " + aGrant):     "-DENIED - write-only\r\n",
		cmd("TTL " + token):      ":7199\r\n",
		cmd("TTL json:wx0123"):   ":7199\r\n",
		cmd("TTL " + unknownKey): ":-2\r\n",
		cmd("TTL nothing"):       ":-2\r\n",
		cmd("PTTL nothing"):      ":-2\r\n",
		cmd("TTL " + aGrant):     ":-1\r\n",
		cmd("PTTL " + aGrant):    ":-1\r\n",
		cmd("MGET " + token + " nothing json:wx0123 " + unknownKey + " " + token): "*5\r\n" + bulks("tok-01") + null2 + bulks(`{"token":"tok-01","ttl":7199}`) + null2 + bulks("tok-01"),
		cmd("MGET " + token + " " + aGrant):                                       "-DENIED - write-only\r\n",
		cmd("HELLO 3") + cmd("MGET nothing"):                                      hello3 + "*1\r\n" + null3,
		cmd("EXISTS " + token + " nothing " + cold + " " + token + " " + aGrant):  ":4\r\n",
		cmd("EXISTS " + unknownKey):                                               ":0\r\n",
		cmd("TYPE "+cold) + cmd("TYPE nothing"):                                   "+string\r\n+none\r\n",
		cmd("EXPIRE "+token+" 10") + cmd("EXPIRE x 10"):                           ":1\r\n:0\r\n",
		cmd("EXPIRE " + token + " x"):                                             "-ERR value is not an integer or out of range\r\n",
		cmd("EXPIRE " + token + " 99999999999999999999"):                          "-ERR value is not an integer or out of range\r\n",
		cmd("EXPIRE nothing 0"):                                                   ":0\r\n",
		cmd("DEL nothing " + unknownKey):                                          ":0\r\n",
		cmd("DEL " + token + " " + pushed):                                        "-DENIED - pushed tickets and grants cannot be deleted\r\n",
		cmd("DEL " + aGrant):                                                      "-DENIED - pushed tickets and grants cannot be deleted\r\n",
		cmd("DEL " + cold + " " + cold):                                           ":1\r\n", // nothing is cached
	} {
		if got := reply(t, commands); got != want {
			t.Errorf("%.90q\n got %q\nwant %q", commands, got, want)
		}
	}
	if got := reply(t, cmd("PTTL "+token)); len(got) != len(":7199999\r\n") || !strings.HasPrefix(got, ":7199") {
		t.Errorf("PTTL: got %q", got)
	}
}

// TestRespRights checks that a hidden credential is answered like a missing key, and a visible
// credential without the right DENIED.
func TestRespRights(t *testing.T) {
	denied := func(verb string) string { return "-DENIED - " + verb + " is not granted to this user\r\n" }
	hidden := workToken
	for commands, want := range map[string]string{
		cmd("GET " + token):                          bulks("tok-01"),
		cmd("GET cache_wx0123"):                      bulks("tok-01"),
		cmd("GET " + hidden):                         null2,
		cmd("GET " + ticket):                         denied("GET"),
		cmd("TTL " + hidden):                         ":-2\r\n",
		cmd("TTL " + ticket):                         denied("GET"),
		cmd("MGET " + token + " " + hidden):          "*2\r\n" + bulks("tok-01") + null2,
		cmd("MGET " + token + " " + ticket):          denied("GET"),
		cmd("EXISTS " + token + " " + hidden):        ":1\r\n",
		cmd("EXISTS " + ticket):                      denied("GET"),
		cmd("TYPE " + hidden):                        "+none\r\n",
		cmd("DEL " + hidden):                         ":0\r\n",
		cmd("DEL " + ticket):                         denied("REJECT"),
		cmd("REJECT " + hidden + " x"):               notFound,
		cmd("SET " + hidden + " x"):                  "-DENIED - not a credential: tokend stores WeChat credentials only\r\n",
		cmd("SET " + ticket + " x"):                  denied("GET"),
		cmd("SET " + pushed + " ticket@@@1"):         "+OK\r\n",
		cmd("SETNX " + pushed + " ticket@@@1"):       ":1\r\n",
		cmd("PUT "+pushed+" x") + cmd("GET "+pushed): "+OK\r\n" + denied("GET"),
		cmd("STATS"):                                 "-DENIED - STATS is not granted to this user\r\n",
		cmd("LIST work"):                             "*0\r\n",
	} {
		if got := replyTo(t, commands); got != want {
			t.Errorf("%.90q\n got %q\nwant %q", commands, got, want)
		}
	}
}

// TestRespRightsNoted checks that refusals of a command with several keys are in the audit log, and
// that all are counted.
func TestRespRightsNoted(t *testing.T) {
	var log syncBuffer
	srv := New(Config{Engine: newFakeEngine(), Logger: testLogger(&log), Rules: keyRules})
	s := sessionOf(srv, access.Peer{UID: guest})
	drive(t, s, []byte(cmd("MGET "+token+" "+workToken)+cmd("MGET "+ticket)+cmd("GET nothing")+cmd("NOSUCH")))
	lines := auditLines(log.String())
	if len(lines) != 2 || !strings.Contains(lines[0], "verb=GET name="+workToken) || !strings.Contains(lines[0], "outcome=NOT_FOUND") ||
		!strings.Contains(lines[1], "verb=GET name="+ticket) || !strings.Contains(lines[1], "outcome=DENIED") {
		t.Errorf("got %q", lines)
	}
	counts := map[string]int64{}
	for _, stat := range s.user.stats.list() {
		counts[stat.Key] = stat.Value
	}
	if counts["errors:DENIED"] != 1 || counts["errors:NOT_FOUND"] != 1 || counts["errors:BAD_REQUEST"] != 1 || counts["reads"] != 1 {
		t.Errorf("got %v", counts)
	}
}

// TestMGetFetches checks that MGET waits for what is not cached, and that an error is the reply
// alone.
func TestMGetFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send(cmd("MGET " + token + " " + cold))
		synctest.Wait()
		if _, now := r.engine.waiters(); now != 1 {
			t.Fatalf("%d requests wait", now)
		}
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "fetched"})
		for _, want := range []string{"*2", "$6", "tok-01", "$7", "fetched"} {
			c.want(strings.TrimSuffix(c.line(), "\r"), want)
		}
		r.engine.tell(authorizer, fetched{err: &credential.Error{Reason: credential.Limited, RetryAfter: time.Minute, Message: "quota"}})
		c.send(cmd("MGET " + token + " " + authorizer))
		c.want(c.line(), "-LIMITED 60 quota\r")
		c.send(cmd("TTL " + authorizer))
		c.want(c.line(), "-LIMITED 60 quota\r")
		if n := r.users.get(0).waits.n.Load(); n != 0 {
			t.Errorf("%d requests count as waiting", n)
		}
	})
}

// TestMGetExpiry checks that MGET serves no value that has expired while it waited for another one.
func TestMGetExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		r.engine.mu.Lock()
		r.engine.creds[token].end = time.Now().Add(2 * time.Second)
		r.engine.mu.Unlock()
		c := r.ln.dial(t)
		c.send(cmd("MGET " + token + " " + cold))
		time.Sleep(3 * time.Second)
		r.engine.tell(token, fetched{ttl: time.Hour, value: "tok-02"})
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "fetched"})
		for _, want := range []string{"*2", "$6", "tok-02", "$7", "fetched"} {
			c.want(strings.TrimSuffix(c.line(), "\r"), want)
		}
	})
}

// TestDelRejects checks that DEL and EXPIRE reject the cached value and wait for the next one, and
// that a failure is not their error.
func TestDelRejects(t *testing.T) {
	for _, command := range []string{"DEL " + token, "UNLINK cache_wx0123", "EXPIRE " + token + " 0", "PEXPIRE " + token + " -1"} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{Aliases: testAliases})
			c := r.ln.dial(t)
			c.send(cmd(command) + cmd("GET "+token))
			synctest.Wait()
			if _, now := r.engine.waiters(); now != 1 {
				t.Fatalf("%s: %d requests wait", command, now)
			}
			r.engine.tell(token, fetched{ttl: time.Hour, value: "tok-02"})
			c.want(c.line(), ":1\r")
			c.want(c.line()+c.line(), "$6\rtok-02\r")
			r.engine.tell(token, fetched{err: &credential.Error{Reason: credential.Unreachable, RetryAfter: time.Second, Message: "away"}})
			c.send(cmd(command))
			c.want(c.line(), ":1\r")
			if got := r.engine.rejectedOlder; len(got) != 2 || got[0] != 10*time.Second {
				t.Errorf("%s: rejected with ages %v", command, got)
			}
			if n := r.users.total().rejects.Load(); n != 2 {
				t.Errorf("%s: %d rejects are counted", command, n)
			}
		})
	}
}

// TestKeysArePaid checks that a request of many names counts as many requests.
func TestKeysArePaid(t *testing.T) {
	for _, word := range []string{"MGET", "EXISTS", "DEL"} {
		s := sessionOf(New(Config{Engine: newFakeEngine(), Limits: Limits{UserRate: 1000}}), access.Peer{UID: guest})
		in := []byte(cmd(word + strings.Repeat(" x", 500)))
		next := more
		for n := 0; next != slow; n++ {
			if n == 4 {
				t.Fatalf("%s: 2000 names at once, at 1000 a second", word)
			}
			if _, next = s.step(in); next == wait {
				_ = s.perform(t.Context(), s.takeJob(), func() error { return nil })
				next = more
			}
			s.out = s.out[:0]
			s.paid = true // as if its bytes were paid for
		}
	}
}

func TestRespCountsVerbs(t *testing.T) {
	s, _ := newRespSession(t, access.Peer{UID: guest})
	drive(t, s, []byte(cmd("GET "+token)+cmd("MGET "+token+" "+token)+cmd("GET nothing")+cmd("DEL nothing")+cmd("SUBSCRIBE x")))
	counts := s.server.Counts()
	got := map[string]int64{}
	for _, r := range counts.Requests {
		got[r.Verb] = r.N
	}
	if counts.Hits != 3 || counts.Reads != 3 || got["GET"] != 4 || got["REJECT"] != 1 || got["WATCH"] != 1 {
		t.Errorf("got %+v", counts)
	}
	if counts.Errors[0].Code != string(protocol.NotFound) {
		t.Errorf("got %+v", counts.Errors)
	}
}
