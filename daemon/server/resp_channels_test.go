package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/fetchers/secret"
)

// event returns a confirmation or a message of RESP2.
func event(word, channel string, n int) string {
	return "*3\r\n" + bulks(word, channel) + fmt.Sprintf(":%d\r\n", n)
}

func TestRespSubscriptions(t *testing.T) {
	const only = "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"
	none := func(word string) string { return "*3\r\n" + bulks(word) + null2 + ":0\r\n" }
	for commands, want := range map[string]string{
		cmd("SUBSCRIBE a b a") + cmd("PSUBSCRIBE c*"): event("subscribe", "a", 1) + event("subscribe", "b", 2) + event("subscribe", "a", 2) + event("psubscribe", "c*", 3),
		cmd("SUBSCRIBE a b") + cmd("UNSUBSCRIBE b x") + cmd("UNSUBSCRIBE"): event("subscribe", "a", 1) + event("subscribe", "b", 2) +
			event("unsubscribe", "b", 1) + event("unsubscribe", "x", 1) + event("unsubscribe", "a", 0),
		cmd("UNSUBSCRIBE") + cmd("PUNSUBSCRIBE"):                              none("unsubscribe") + none("punsubscribe"),
		cmd("SUBSCRIBE a") + cmd("GET "+token):                                event("subscribe", "a", 1) + "-ERR Can't execute 'get" + only,
		cmd("SUBSCRIBE a") + cmd("ping") + cmd("PING x"):                      event("subscribe", "a", 1) + "*2\r\n" + bulks("pong", "") + "*2\r\n" + bulks("pong", "x"),
		cmd("SUBSCRIBE a") + cmd("RESET") + cmd("PING"):                       event("subscribe", "a", 1) + "+RESET\r\n+PONG\r\n",
		cmd("SUBSCRIBE a") + cmd("QUIT"):                                      event("subscribe", "a", 1) + "+OK\r\n",
		cmd("SUBSCRIBE a") + cmd("UNSUBSCRIBE") + cmd("PING"):                 event("subscribe", "a", 1) + event("unsubscribe", "a", 0) + "+PONG\r\n",
		cmd("HELLO 3") + cmd("SUBSCRIBE a") + cmd("PING") + cmd("GET "+token): hello3 + strings.Replace(event("subscribe", "a", 1), "*", ">", 1) + "+PONG\r\n" + bulks("tok-01"),
		cmd("SUBSCRIBE"): "-ERR wrong number of arguments for 'subscribe' command\r\n",
	} {
		if got := reply(t, commands); got != want {
			t.Errorf("%.90q\n got %q\nwant %q", commands, got, want)
		}
	}
}

// wantBytes reads as many bytes as text has, and compares.
func wantBytes(t *testing.T, c *client, text string) {
	t.Helper()
	got := make([]byte, len(text))
	for n := 0; n < len(got); {
		k, err := c.r.Read(got[n:])
		if err != nil {
			t.Fatalf("got %q and %v, want %q", got[:n], err, text)
		}
		n += k
	}
	c.want(string(got), text)
}

// change makes a fetch of name land with value.
func (e *fakeEngine) change(name, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.landLocked(name, fetched{ttl: time.Hour + time.Second/2, value: secret.Text(value)})
}

// TestRespMessages checks the messages of names, aliases and patterns, between other commands, in
// both versions.
func TestRespMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Aliases: testAliases})
		c, three := r.ln.dial(t), r.ln.dial(t)
		c.send(cmd("SUBSCRIBE "+token+" cache_wx0123 silent") + cmd("PSUBSCRIBE official_account/wx????/* work/*"))
		wantBytes(t, c, event("subscribe", token, 1)+event("subscribe", "cache_wx0123", 2)+event("subscribe", "silent", 3)+
			event("psubscribe", "official_account/wx????/*", 4)+event("psubscribe", "work/*", 5))
		three.send(cmd("HELLO 3") + cmd("SUBSCRIBE "+workToken))
		wantBytes(t, three, hello3+">"+event("subscribe", workToken, 1)[1:])
		r.engine.change(token, "tok-02")
		message := "*3\r\n" + bulks("message", token, "fresh 3600") + "*3\r\n" + bulks("message", "cache_wx0123", "fresh 3600") +
			"*4\r\n" + bulks("pmessage", "official_account/wx????/*", token, "fresh 3600")
		wantBytes(t, c, message)
		r.engine.change(cold, "tok-03") // for nobody
		r.engine.change(workToken, "tok-04")
		wantBytes(t, c, "*4\r\n"+bulks("pmessage", "work/*", workToken, "fresh 3600"))
		wantBytes(t, three, ">3\r\n"+bulks("message", workToken, "fresh 3600"))

		// Commands between messages, also in pieces.
		ping := cmd("PING")
		c.send(ping[:5])
		time.Sleep(time.Second)
		c.send(ping[5:])
		wantBytes(t, c, "*2\r\n"+bulks("pong", ""))
		three.send(cmd("GET "+token) + cmd("SUBSCRIBE "+token))
		wantBytes(t, three, bulks("tok-02")+">"+event("subscribe", token, 2)[1:])
		r.engine.change(token, "tok-05")
		wantBytes(t, c, message)
		wantBytes(t, three, ">3\r\n"+bulks("message", token, "fresh 3600"))

		// Without a subscription, it is a connection like any other.
		c.send(cmd("UNSUBSCRIBE silent") + cmd("UNSUBSCRIBE") + cmd("PUNSUBSCRIBE") + cmd("GET "+token))
		wantBytes(t, c, event("unsubscribe", "silent", 4)+event("unsubscribe", token, 3)+event("unsubscribe", "cache_wx0123", 2)+
			event("punsubscribe", "official_account/wx????/*", 1)+event("punsubscribe", "work/*", 0)+bulks("tok-05"))
		if n := r.users.get(0).watches.n.Load(); n != 1 {
			t.Errorf("%d watches", n)
		}
		three.Close()
		synctest.Wait()
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		if u := r.users.get(0); u.watches.n.Load() != 0 || len(r.engine.watches) != 0 || u.channels.Load() != 0 {
			t.Errorf("%d watches, %d of the engine", u.watches.n.Load(), len(r.engine.watches))
		}
	})
}

// TestRespMessagesNeedRight checks that messages are only of names on which WATCH is granted, also
// after the rules have changed.
func TestRespMessagesNeedRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{peer: as(guest), Rules: keyRules, Aliases: testAliases})
		c := r.ln.dial(t)
		c.send(cmd("SUBSCRIBE "+ticket+" "+workToken+" "+token) + cmd("PSUBSCRIBE *"))
		wantBytes(t, c, event("subscribe", ticket, 1)+event("subscribe", workToken, 2)+event("subscribe", token, 3)+event("psubscribe", "*", 4))
		r.engine.change(ticket, "t-02")
		r.engine.change(workToken, "w-02")
		r.engine.change(token, "tok-02")
		both := "*3\r\n" + bulks("message", token, "fresh 3600") + "*4\r\n" + bulks("pmessage", "*", token, "fresh 3600")
		wantBytes(t, c, both)
		r.SetRules([]access.Rule{{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"WATCH"}}})
		synctest.Wait()
		r.engine.change(token, "tok-03")
		r.engine.change(workToken, "w-03")
		wantBytes(t, c, strings.ReplaceAll(both, bulks(token), bulks(workToken)))

		// New aliases are followed too.
		c.send(cmd("SUBSCRIBE later_1000002"))
		wantBytes(t, c, event("subscribe", "later_1000002", 5))
		all := testAliases[0]
		all.Key, all.Name = "later_{agent}", "work/ww0123/{agent}/access_token"
		r.SetAliases(append(testAliases[:1:1], all))
		r.SetRules([]access.Rule{{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"WATCH"}}})
		synctest.Wait()
		r.engine.change(workToken, "w-04")
		wantBytes(t, c, "*3\r\n"+bulks("message", workToken, "fresh 3600")+"*3\r\n"+bulks("message", "later_1000002", "fresh 3600"))
	})
}

// TestSilentSubscriptionsAreFree checks that only subscriptions that can receive a message count as
// watches, and that the bytes of all are bounded.
func TestSilentSubscriptionsAreFree(t *testing.T) {
	srv := New(Config{Engine: newFakeEngine(), Limits: Limits{UserRate: unslowed}})
	var all []*session
	subscribe := func(channel string) string {
		s := sessionOf(srv, access.Peer{UID: guest})
		all = append(all, s)
		s.paid = len(channel) > longText // as if its bytes were paid for
		n, next := s.step([]byte(cmd(channel)))
		if (next == wait) != (s.feed != nil) || n == 0 {
			t.Fatal(n, next)
		}
		return string(s.out)
	}
	for range 2 * userWatches {
		subscribe("SUBSCRIBE __keyspace@0__:x")
		subscribe("PSUBSCRIBE __key*")
	}
	u := srv.users.get(guest)
	if n := u.watches.n.Load(); n != 0 {
		t.Errorf("silent subscriptions are %d watches", n)
	}
	for range userWatches {
		subscribe("SUBSCRIBE " + token)
	}
	if got, want := subscribe("SUBSCRIBE "+token), "-BUSY 1 too many watches of this user\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n := 0; ; n++ {
		if got := subscribe("SUBSCRIBE " + strings.Repeat("x", 60_000)); strings.HasPrefix(got, "-BUSY 1 too many channels") {
			break
		}
		if n > userChannels/60_000 {
			t.Fatal("channels are unbounded")
		}
	}
	for _, s := range all {
		s.close()
	}
	if u.watches.n.Load() != 0 || u.channels.Load() != 0 {
		t.Errorf("%d watches and %d bytes are held for closed sessions", u.watches.n.Load(), u.channels.Load())
	}
}

// TestSubscriptionsOverSockets checks messages over both drivers, a peer that closes, and a stop.
func TestSubscriptionsOverSockets(t *testing.T) { overBoth(t, trySubscriptionsOverSockets) }

func trySubscriptionsOverSockets(t *testing.T, d driver) {
	path, s, engine := d.startSocket(t, Config{})
	c := dialSocket(t, path)
	c.send(cmd("SUBSCRIBE " + token))
	wantBytes(t, c, event("subscribe", token, 1))
	engine.change(token, "tok-02")
	wantBytes(t, c, "*3\r\n"+bulks("message", token, "fresh 3600"))
	for range 3 {
		c.send(cmd("PING") + cmd("PING x"))
		wantBytes(t, c, "*2\r\n"+bulks("pong", "")+"*2\r\n"+bulks("pong", "x"))
	}
	engine.change(token, "tok-03")
	wantBytes(t, c, "*3\r\n"+bulks("message", token, "fresh 3600"))
	c.send(cmd("UNSUBSCRIBE") + cmd("GET "+token))
	wantBytes(t, c, event("unsubscribe", token, 0)+bulks("tok-03"))
	c.send(cmd("SUBSCRIBE " + token))
	wantBytes(t, c, event("subscribe", token, 1))
	c.Close()
	eventually(t, "the subscription ends", func() bool {
		return s.users.total().connections.Load() == 1 && s.open.Load() == 0
	})
}

// TestSlowSubscriberIsClosed checks that a subscriber is closed when the engine gives up on it.
func TestSlowSubscriberIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send(cmd("SUBSCRIBE " + token))
		wantBytes(t, c, event("subscribe", token, 1))
		synctest.Wait()
		for w := range r.engine.watches {
			w.Close()
		}
		c.want(c.rest(), "")
	})
}
