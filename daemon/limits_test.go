package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/server"
)

// TestLimits checks that the server gets each limit of a configuration, and that both have the same
// defaults.
func TestLimits(t *testing.T) {
	const account = "[[mini_program]]\napp_id = \"wx1\"\nsecret = \"s\"\n"
	for _, c := range []struct {
		limits string
		want   server.Limits
	}{
		{"", server.DefaultLimits},
		{"[limits]\nmax_connections = 1\nrequests_per_second = 2\nwaiting_requests = 3\nidle_timeout = \"4s\"\n",
			server.Limits{MaxConns: 1, UserRate: 2, MaxUserWaits: 3, IdleTimeout: 4 * time.Second}},
	} {
		file, err := config.Parse("test.toml", []byte(c.limits+account), config.OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		if got := limits(file); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.limits, got, c.want)
		}
	}
}

// TestUpstreamCalls checks that upstream_calls limits the calls in flight after a start, and that a
// reload with another number warns.
func TestUpstreamCalls(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	full := make(chan struct{}) // closed when so many calls were in flight as are expected
	wechat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		if now == 3 && most < 3 {
			close(full)
		}
		most = max(most, now)
		mu.Unlock()
		select {
		case <-full:
		case <-r.Context().Done():
		}
		time.Sleep(50 * time.Millisecond) // for a fourth call
		mu.Lock()
		now--
		mu.Unlock()
		fmt.Fprint(w, `{"access_token": "token", "expires_in": 7200}`)
	}))
	defer wechat.Close()
	s := newSite(t)
	s.url = wechat.URL
	var accounts strings.Builder
	const n = 12
	for i := range n {
		fmt.Fprintf(&accounts, "[[mini_program]]\napp_id = \"wx%d\"\nsecret = \"s\"\n", i)
	}
	few := s.config("[limits]\nupstream_calls = 3\n" + accounts.String())
	d := s.start(few)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if _, err := s.client.Get(t.Context(), fmt.Sprintf("mini_program/wx%d/access_token", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most != 3 {
		t.Errorf("got %d calls in flight, want 3", most)
	}
	if err := d.Reload(t.Context(), few); err != nil {
		t.Fatal(err)
	}
	const warning = "upstream_calls takes effect after a restart"
	if strings.Contains(s.log.String(), warning) {
		t.Error("a reload without a change logs the warning")
	}
	if err := d.Reload(t.Context(), s.config(accounts.String())); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), warning) {
		t.Errorf("a reload does not log %q", warning)
	}
}
