package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSmallRate checks that one session does not take all of a small allowance at once.
func TestSmallRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{UserRate: 10}, peer: p.of})
		clients := []*client{r.dialAs(t, p, alice), r.dialAs(t, p, alice)}
		ask := func(n int) time.Duration {
			return took(func() {
				for i := range n {
					c := clients[i%len(clients)]
					c.want(c.ask("PING"), "OK PONG")
				}
			})
		}
		if d := ask(10); d != 0 {
			t.Errorf("the first 10 requests take %s, want no time", d)
		}
		if d := ask(20); d < 1900*time.Millisecond || d > 2100*time.Millisecond {
			t.Errorf("the next 20 take %s, want 2 s", d)
		}
	})
}

// TestSetLimits holds that limits that are set while connections are open hold for these too, and
// hold no more when others are set.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	overBoth(t, trySetLimits)
}

func trySetLimits(t *testing.T, d driver) {
	const idle = time.Second
	path, s, engine := d.startSocket(t, Config{peer: as(alice)})
	first, second := dialSocket(t, path), dialSocket(t, path)
	first.want(first.ask("PING"), "OK PONG")
	second.want(second.ask("PING"), "OK PONG")

	s.SetLimits(Limits{MaxConns: 2, UserRate: 200, MaxUserWaits: 1, IdleTimeout: idle})
	third := dialSocket(t, path)
	third.want(third.rest(), crowded)
	first.send("GET " + cold + "\n")
	eventually(t, "it waits", func() bool { return s.users.get(alice).waits.n.Load() == 1 })
	second.want(second.ask("GET "+cold), "ERR BUSY 1 too many requests of this user are waiting")
	second.want(second.rest(), "") // it is idle
	engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
	if got := first.line(); !strings.HasSuffix(got, " tok-02") {
		t.Errorf("got %q", got)
	}
	begin := time.Now()
	first.send(strings.Repeat("PING\n", 400))
	for range 400 {
		first.want(first.line(), "OK PONG")
	}
	// 200 at once, and a quantum that was drawn before.
	if took := time.Since(begin); took < 600*time.Millisecond {
		t.Errorf("400 requests at 200 a second took %s", took)
	}

	s.SetLimits(Limits{})
	begin = time.Now()
	open := []*client{first, dialSocket(t, path), dialSocket(t, path)}
	for _, c := range open {
		c.send(strings.Repeat("PING\n", 1000))
		for range 1000 {
			c.want(c.line(), "OK PONG")
		}
	}
	if took := time.Since(begin); took > 10*time.Second { // 15 s at 200 a second
		t.Errorf("3000 requests without such limits took %s", took)
	}
	time.Sleep(2 * idle)
	for _, c := range open {
		c.want(c.ask("PING"), "OK PONG")
	}
}
