package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
)

// TestRespUnread checks that a peer that pipelines 10 000 commands and never reads is closed, and
// that no more than a buffer of replies waits for it.
func TestRespUnread(t *testing.T) {
	s, _ := newRespSession(t, access.Peer{})
	in := []byte(strings.Repeat(cmd("GET "+token)+cmd("MGET "+token+" "+ticket), 5000))
	for len(in) > 0 {
		n, next := s.step(in)
		if next == wait {
			if err := s.perform(t.Context(), s.takeJob(), func() error { s.out = s.out[:0]; return nil }); err != nil {
				t.Fatal(err)
			}
		} else if next != flush && len(in) > n {
			t.Fatalf("the session wants %d", next)
		}
		if len(s.out) > maxOut+1024 {
			t.Fatalf("%d bytes of replies are buffered", len(s.out))
		}
		in, s.out = in[n:], s.out[:0]
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		c := r.ln.dial(t)
		c.send(strings.Repeat(cmd("GET "+token), 10_000))
		time.Sleep(writeTimeout + time.Second)
		if n := r.open.Load(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}
