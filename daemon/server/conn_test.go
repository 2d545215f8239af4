package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// took returns how long f takes, in virtual time.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestLineTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{lineTimeout: 30 * time.Second})
		c := r.ln.dial(t)
		c.want(c.ask("PING"), "OK PONG")
		time.Sleep(24 * time.Hour) // an idle connection may stay
		c.want(c.ask("PING"), "OK PONG")

		// One byte every 10 s is a line that never ends: three get through.
		sent := 0
		d := took(func() {
			for range 10 {
				if _, err := io.WriteString(c.Conn, "x"); err != nil {
					break
				}
				sent++
				time.Sleep(10 * time.Second)
			}
		})
		if sent != 3 && sent != 4 || d > 50*time.Second {
			t.Errorf("%d bytes in %s, want 3 or 4 in 30 s", sent, d)
		}
		c.want(c.rest(), "")
	})
}

// A peer that always has half a request under way, and finishes each, is no slow one.
func TestLineTimeoutIsForEachLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{lineTimeout: 30 * time.Second})
		c := r.ln.dial(t)
		c.send("PI")
		for range 20 {
			time.Sleep(20 * time.Second)
			c.send("NG\nPI")
			c.want(c.line(), "OK PONG")
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Limits: Limits{IdleTimeout: time.Minute}})
		c := r.ln.dial(t)
		for range 5 {
			time.Sleep(59 * time.Second)
			c.want(c.ask("PING"), "OK PONG")
		}
		if d := took(func() { c.want(c.rest(), "") }); d != time.Minute {
			t.Errorf("closed after %s, want 1m", d)
		}
	})
}

// A request that waits is not idle, however long it takes.
func TestWaitingIsNotIdling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Limits: Limits{IdleTimeout: time.Second}, lineTimeout: time.Second, waitTimeout: time.Hour})
		c := r.ln.dial(t)
		c.send("GET " + cold + "\nPI")
		time.Sleep(30 * time.Minute)
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
		c.want(c.line(), "OK 3600 tok-02")
		c.send("NG\n")
		c.want(c.line(), "OK PONG")
	})
}

func TestReaderThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{writeTimeout: 10 * time.Second})
		c := r.ln.dial(t)
		c.send("PING\nPING\n")
		time.Sleep(9 * time.Second)
		c.want(c.line(), "OK PONG") // late, but in time
		c.want(c.line(), "OK PONG")

		c.send("PING\n")
		time.Sleep(11 * time.Second)
		c.want(c.rest(), "")
		if n := r.open.Load(); n != 0 {
			t.Errorf("%d connections open, want 0", n)
		}
	})
}

// A peer that reads a little now and then is waited for, however long it takes in all.
func TestReaderThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{writeTimeout: 10 * time.Second})
		c := r.ln.dial(t)
		c.send("PING\nGET " + token + "\n")
		const want = "OK PONG\nOK 7200 tok-01\n"
		var got []byte
		d := took(func() {
			for len(got) < len(want) {
				time.Sleep(8 * time.Second)
				var b [1]byte
				if _, err := io.ReadFull(c.Conn, b[:]); err != nil {
					t.Fatalf("closed after %q: %v", got, err)
				}
				got = append(got, b[0])
			}
		})
		c.want(string(got), want)
		if d < time.Minute {
			t.Errorf("read in %s: not slow", d)
		}
		c.want(c.ask("PING"), "OK PONG")

		// Slow at first, and then no more.
		c.send("PING\n")
		time.Sleep(8 * time.Second)
		var b [1]byte
		if _, err := io.ReadFull(c.Conn, b[:]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(21 * time.Second)
		c.want(c.rest(), "")
	})
}

func TestWaitTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{waitTimeout: 30 * time.Second})
		c := r.ln.dial(t)
		d := took(func() { c.want(c.ask("GET %s", cold), "ERR UNAVAILABLE 1 timed out; the operation continues") })
		if d != 30*time.Second {
			t.Errorf("answered after %s, want 30s", d)
		}
		c.want(c.ask("PING"), "OK PONG")
	})
}

func TestPeerClosesWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send("GET " + cold + "\n")
		synctest.Wait()
		if _, now := r.engine.waiters(); now != 1 {
			t.Fatalf("%d requests wait, want 1", now)
		}
		c.Close()
		synctest.Wait()
		if _, now := r.engine.waiters(); now != 0 {
			t.Errorf("%d requests wait for a peer that is gone, want 0", now)
		}
		if n := r.open.Load(); n != 0 {
			t.Errorf("%d connections open, want 0", n)
		}
		for _, stat := range r.users.total().list() {
			if strings.HasPrefix(stat.Key, "errors:") {
				t.Errorf("its leaving counts as an error: %+v", stat)
			}
		}
	})
}

// stuckPut is an engine whose disk takes nothing and refuses nothing.
type stuckPut struct{ *fakeEngine }

func (stuckPut) Put(ctx context.Context, _ string, _ secret.Text) error {
	<-ctx.Done()
	return ctx.Err()
}

// A PUT is over in a millisecond or two, and its peer is looked out for only if it is not.
func TestPeerClosesDuringPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Engine: stuckPut{newFakeEngine()}})
		c := r.ln.dial(t)
		c.send("PUT " + platform + "/wxgone/refresh_token refreshtoken@@@01\n")
		synctest.Wait()
		c.Close()
		time.Sleep(lookAfter - 1)
		synctest.Wait()
		if n := r.open.Load(); n != 1 {
			t.Errorf("before it is looked out for, %d connections are open, want 1", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := r.open.Load(); n != 0 {
			t.Errorf("%d connections open, want 0", n)
		}
	})
}

// What is sent while a request waits is answered after it, in order; what does not fit
// in the buffer stays with the sender.
func TestRequestsBehindOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send("PING\nGET " + cold + "\n" + strings.Repeat("GET "+token+"\n", 1000) + "GET " + heldToken + "\nPING\n")
		c.want(c.line(), "OK PONG") // not kept waiting by what is behind it
		time.Sleep(time.Second)
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
		c.want(c.line(), "OK 3600 tok-02")
		for range 1000 {
			c.want(c.line(), "OK 7199 tok-01")
		}
		r.engine.tell(heldToken, fetched{ttl: time.Hour, value: "tok-03"})
		c.want(c.line(), "OK 3600 tok-03")
		c.want(c.line(), "OK PONG")
	})
}

func TestEndInsideALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send("PING\nPIN")
		c.want(c.line(), "OK PONG")
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if n := r.open.Load(); n != 0 {
			t.Errorf("%d connections open, want 0", n)
		}
	})
}

func TestOverlongLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send(strings.Repeat("x", 1<<20))
		c.want(c.rest(), "ERR BAD_REQUEST - the line is longer than 65536 bytes; closing the connection\n")
	})
}

func TestWatch(t *testing.T) {
	begin := func(t *testing.T) (*running, *client) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.want(c.ask("WATCH %s", token), "OK 1")
		c.want(c.line(), token+" fresh 7200")
		synctest.Wait()
		return r, c
	}
	change := func(r *running, value string) {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		f, _ := parseFetched("OK 60 " + value)
		r.engine.landLocked(token, f)
	}
	watches := func(r *running) int {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		return len(r.engine.watches)
	}
	gone := func(t *testing.T, r *running) {
		t.Helper()
		synctest.Wait()
		if n := watches(r); n != 0 {
			t.Errorf("%d watches left, want 0", n)
		}
	}
	t.Run("lasts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			time.Sleep(100 * time.Hour)
			change(r, "b")
			change(r, "c")
			c.want(c.line(), "CHANGED "+token+" fresh 60")
			c.want(c.line(), "CHANGED "+token+" fresh 60")
		})
	})
	t.Run("the peer closes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			c.Close()
			gone(t, r)
		})
	})
	t.Run("the peer says something", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			c.send("QUIT\n")
			c.want(c.rest(), "")
			gone(t, r)
		})
	})
	t.Run("the peer had said something", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{})
			c := r.ln.dial(t)
			c.send("WATCH " + token + "\nPING\n")
			c.want(c.rest(), "OK 1\n"+token+" fresh 7200\n")
			gone(t, r)
		})
	})
	t.Run("the peer is too slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			r.engine.mu.Lock()
			for w := range r.engine.watches { // what the engine does to who lags behind
				delete(r.engine.watches, w)
				w.closed = true
				w.wakeLocked()
			}
			r.engine.mu.Unlock()
			c.want(c.rest(), "")
		})
	})
	t.Run("the peer does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			change(r, "b")
			time.Sleep(11 * time.Second)
			gone(t, r)
			c.want(c.rest(), "")
		})
	})
	t.Run("the server stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, c := begin(t)
			r.stop()
			c.want(c.rest(), "")
			gone(t, r)
		})
	})
	t.Run("the rules change", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{peer: func(net.Conn) (access.Peer, error) { return access.Peer{UID: guest}, nil }})
			c := r.ln.dial(t)
			c.want(c.ask("WATCH"), "OK 7")
			for range 7 {
				c.line()
			}
			r.SetRules([]access.Rule{{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"WATCH"}}})
			change(r, "hidden")
			r.engine.mu.Lock()
			r.engine.landLocked(workToken, fetched{ttl: time.Minute, value: "seen"})
			r.engine.mu.Unlock()
			c.want(c.line(), "CHANGED "+workToken+" fresh 60")
		})
	})
	t.Run("the rules take all that it watches", func(t *testing.T) {
		watch := func(names string, verb string) []access.Rule {
			return []access.Rule{{UIDs: []uint32{guest}, Names: []string{names}, Verbs: []string{verb}}}
		}
		for name, tt := range map[string]struct {
			prefix string
			before []access.Rule
			lines  int
			after  []access.Rule
		}{
			"the verb":                      {"", watch("*", "WATCH"), 7, watch("*", "LIST")},
			"every name":                    {"", watch("*", "WATCH"), 7, []access.Rule{{UIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"WATCH"}}}},
			"what is under the prefix":      {"work/", watch("*", "WATCH"), 2, watch("official_account/*", "WATCH")},
			"the rights without any rules":  {"work/ww0123/", nil, 2, watch("official_account/*", "WATCH")},
			"all, and not that of somebody": {"work/", append(watch("work/*", "WATCH"), access.Rule{UIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"WATCH"}}), 2, watch("work/*", "GET")},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log syncBuffer
					r := start(t, Config{Rules: tt.before, peer: as(guest), Logger: testLogger(&log)})
					c := r.ln.dial(t)
					c.want(c.ask("%s", strings.TrimSpace("WATCH "+tt.prefix)), fmt.Sprintf("OK %d", tt.lines))
					c.lines(tt.lines)
					r.SetRules(tt.before) // the same again
					r.engine.mu.Lock()
					r.engine.landLocked(workToken, fetched{ttl: time.Minute, value: "seen"})
					r.engine.mu.Unlock()
					c.want(c.line(), "CHANGED "+workToken+" fresh 60")
					r.SetRules(tt.after)
					c.want(c.rest(), "ERR DENIED - WATCH is not granted to this user\n")
					if n := strings.Count(log.String(), "verb=WATCH name=- "); n != 1 || !strings.Contains(log.String(), "outcome=DENIED") {
						t.Errorf("%d lines in the audit, want one:\n%s", n, log.String())
					}
				})
			})
		}
	})
	t.Run("the rules change while the list is written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{peer: as(guest)})
			c := r.ln.dial(t)
			c.send("WATCH\n") // a pipe has no buffer: the list is not written before it is read
			synctest.Wait()
			r.SetRules([]access.Rule{{UIDs: []uint32{1}, Names: []string{"*"}, Verbs: []string{"WATCH"}}})
			c.want(c.line(), "OK 7")
			c.lines(7)
			c.want(c.rest(), "ERR DENIED - WATCH is not granted to this user\n")
		})
	})
	t.Run("there are no names for it, and then there are", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rules := []access.Rule{{UIDs: []uint32{guest + 1}, Names: []string{"*"}, Verbs: []string{"WATCH"}}}
			r := start(t, Config{Rules: rules, peer: func(net.Conn) (access.Peer, error) { return access.Peer{UID: guest}, nil }})
			c := r.ln.dial(t)
			c.want(c.ask("WATCH"), "OK 0")
			change(r, "hidden")
			r.SetRules([]access.Rule{{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"WATCH"}}})
			r.engine.mu.Lock()
			r.engine.landLocked(workToken, fetched{ttl: time.Minute, value: "seen"})
			r.engine.mu.Unlock()
			c.want(c.line(), "CHANGED "+workToken+" fresh 60")
		})
	})
}

// Events that come together go out together.
func TestWatchBatchesEvents(t *testing.T) {
	s, engine := newTestSession(t)
	w := &fakeWatch{of: engine, closed: true}
	for range 100 {
		w.events = append(w.events, credential.Listing{Name: token, State: credential.Fresh, TTL: time.Minute})
	}
	flushes := 0
	s.renewRights()
	err := s.tell(t.Context(), "", true, w, func() error {
		if len(s.out) > 0 {
			flushes++
		}
		s.out = s.out[:0]
		return nil
	})
	if err != errOver || flushes != 1 {
		t.Errorf("%d writes and %v, want 1 and %v", flushes, err, errOver)
	}
}
