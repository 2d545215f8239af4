package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ofAll are the requests that are answered when all that was kept is in force, and how their
// answers begin.
var ofAll = map[string]string{
	"LIST":             "OK 7",
	"WATCH":            "OK 7",
	"STATS":            "OK ",
	"STATUS " + token:  "OK 23",
	"HISTORY " + token: "OK 3",
}

// loadingServer returns a server whose engine is still loading, and clients that have asked it for
// ofAll.
func loadingServer(t *testing.T, cfg Config) (*running, *fakeEngine, map[string]*client) {
	e := newFakeEngine()
	e.loading = make(chan struct{})
	cfg.Engine = e
	r := start(t, cfg)
	asking := map[string]*client{}
	for request := range ofAll {
		asking[request] = r.ln.dial(t)
		asking[request].send(request + "\n")
	}
	return r, e, asking
}

// TestListsWaitForLoading checks that reports on all credentials are answered when the engine has
// loaded, that reads do not wait for them, and that they do not count as lists before.
func TestListsWaitForLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, asking := loadingServer(t, Config{peer: as(guest)})
		time.Sleep(4 * time.Second)
		other := r.ln.dial(t)
		other.want(other.ask("GET %s", token), "OK 7196 tok-01")
		if n := len(r.users.get(guest).lists); n > 0 {
			t.Errorf("%d lists are being written while there is nothing to list", n)
		}
		close(e.loading)
		for request, c := range asking {
			if got := c.line(); !strings.HasPrefix(got, ofAll[request]) {
				t.Errorf("%s: got %q, want %q", request, got, ofAll[request])
			}
		}
	})
}

// TestStopWhileLoading checks that a stop answers the requests that wait for the loading at once.
func TestStopWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, asking := loadingServer(t, Config{})
		synctest.Wait()
		time.AfterFunc(time.Hour, func() { close(e.loading) })
		d := took(func() {
			r.stop()
			for request, c := range asking {
				if got, want := c.rest(), "ERR SHUTDOWN 1 the daemon is stopping\n"; got != want {
					t.Errorf("%s: got %q, want %q", request, got, want)
				}
			}
			if err := <-r.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			r.done <- nil
		})
		if d != 0 {
			t.Errorf("stopping took %s, want no time", d)
		}
	})
}

// TestLoadingTimeout checks the reply if the loading takes longer than waitTimeout, and that a
// watch which cannot begin is no longer counted.
func TestLoadingTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, asking := loadingServer(t, Config{peer: as(guest), waitTimeout: 3 * time.Second})
		time.AfterFunc(time.Hour, func() { close(e.loading) })
		d := took(func() {
			for request, c := range asking {
				c.want(c.line(), "ERR UNAVAILABLE 1 timed out; the operation continues")
				if request == "WATCH" {
					c.want(c.rest(), "")
				} else {
					c.want(c.ask("PING"), "OK PONG")
				}
			}
		})
		if d != 3*time.Second {
			t.Errorf("told after %s, want 3s", d)
		}
		if n := r.users.get(guest).watches.n.Load(); n > 0 {
			t.Errorf("%d watches are held", n)
		}
	})
}
