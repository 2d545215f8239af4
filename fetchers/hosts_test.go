package fetchers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers/secret"
)

// repeatedly makes a call as the engine does, and returns the number of attempts.
func repeatedly(fetch func() error) (attempts int, err error) {
	for {
		attempts++
		err = fetch()
		if te, ok := errors.AsType[*TransportError](err); !ok || attempts > te.Repeat {
			return attempts, err
		}
	}
}

func corpToken(t *testing.T, c *Client) func() error {
	return func() error {
		_, err := CorpToken{Client: c, CorpID: "ww01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
		return err
	}
}

func rotatingToken(t *testing.T, c *Client) func() error {
	return func() error {
		_, err := token(c).Fetch(t.Context(), Ask{})
		return err
	}
}

// together makes n calls concurrently and returns the first error.
func together(n int, f func() error) error {
	errs := make([]error, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { errs[i] = f() })
	}
	calls.Wait()
	return errors.Join(errs...)
}

// TestDeadConnections: connections that died unnoticed cost one attempt altogether, and only
// repeatable calls are repeated.
func TestDeadConnections(t *testing.T) {
	const kept = 24
	for name, dead := range map[string]conduct{"timeout": hangs, "reset": cuts} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hosts := hostsIn(t, 1)
				die := func() {
					t.Helper()
					before, _ := hosts[0].counts()
					if err := together(kept, corpToken(t, c)); err != nil {
						t.Fatal(err)
					}
					made, _ := hosts[0].counts()
					if made < kept {
						t.Fatalf("%d connections, %d before; want %d kept", made, before, kept)
					}
					hosts[0].set(func(conn int) conduct {
						if conn <= made {
							return dead
						}
						return answers
					})
				}

				die()
				if n, err := repeatedly(corpToken(t, c)); n != 2 || err != nil {
					t.Errorf("gettoken: %d attempts, %v; want 2", n, err)
				}
				if n, err := repeatedly(corpToken(t, c)); n != 1 || err != nil {
					t.Errorf("the next: %d attempts, %v; want 1", n, err)
				}

				die()
				if n, err := repeatedly(rotatingToken(t, c)); n != 1 || err == nil {
					t.Errorf("/cgi-bin/token: %d attempts, %v; want 1 that fails", n, err)
				}
				if n, err := repeatedly(rotatingToken(t, c)); n != 1 || err != nil {
					t.Errorf("the next: %d attempts, %v; want 1", n, err)
				}

				// A host that accepts connections and never answers gets two attempts.
				die()
				hosts[0].always(dead)
				if n, err := repeatedly(corpToken(t, c)); n != 2 || err == nil {
					t.Errorf("a dead host: %d attempts, %v; want 2 that fail", n, err)
				}
				if n, err := repeatedly(corpToken(t, c)); n != 1 || err == nil {
					t.Errorf("a dead host, on a new connection: %d attempts, %v; want 1", n, err)
				}
			})
		})
	}
}

// TestNewConnectionTimeout: a timeout on a new connection does not close idle ones.
func TestNewConnectionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 1)
		hosts[0].set(func(conn int) conduct {
			if conn == 2 {
				return hangs
			}
			return answers
		})
		if err := together(2, rotatingToken(t, c)); err == nil {
			t.Error("no call timed out")
		}
		if n, err := repeatedly(corpToken(t, c)); n != 1 || err != nil {
			t.Errorf("%d attempts, %v", n, err)
		}
		if conns, _ := hosts[0].counts(); conns != 2 {
			t.Errorf("%d connections, want 2", conns)
		}
	})
}

// TestCallerLeaves: a canceled call has no effect on the host.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 2)
		if err := together(2, corpToken(t, c)); err != nil {
			t.Fatal(err)
		}
		hosts[0].always(hangs)
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		_, err := CorpToken{Client: c, CorpID: "ww01", Secret: canarySecret}.Fetch(ctx, Ask{})
		if te := mustTransportError(t, err); te.Repeat != 0 || c.Host() != "1.test" {
			t.Errorf("repeat %d at %s, want none at 1.test", te.Repeat, c.Host())
		}
		hosts[0].always(answers)
		before, _ := hosts[0].counts()
		if err := corpToken(t, c)(); err != nil {
			t.Error(err)
		}
		if now, _ := hosts[0].counts(); now != before {
			t.Error("idle connections were closed")
		}
	})
}

// TestNextHost: the next host is tried only if nothing was sent, or if a repeatable call was not
// answered in time.
func TestNextHost(t *testing.T) {
	exchange := func(t *testing.T, c *Client) func() error {
		return func() error {
			_, err := QueryAuth{Client: c, AppID: "wx01"}.Exchange(t.Context(), "parent", "code")
			return err
		}
	}
	forced := func(t *testing.T, c *Client) func() error {
		return func() error {
			_, err := StableToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{Force: true})
			return err
		}
	}
	stable := func(t *testing.T, c *Client) func() error {
		return func() error {
			_, err := StableToken{Client: c, AppID: "wx01", Secret: canarySecret}.Fetch(t.Context(), Ask{})
			return err
		}
	}
	for _, test := range []struct {
		name  string
		first conduct
		fetch func(*testing.T, *Client) func() error
		next  bool
	}{
		{"refused connection", refuses, rotatingToken, true},
		{"refused connection, forced", refuses, forced, true},
		{"no connection in time", unreachable, rotatingToken, true},
		{"no connection in time, code", unreachable, exchange, true},
		{"timeout, repeating", hangs, stable, true},
		{"timeout, forced", hangs, forced, false},
		{"timeout, rotating", hangs, rotatingToken, false},
		{"timeout, code", hangs, exchange, false},
		{"reset, repeating", cuts, stable, false},
		{"reset, rotating", cuts, rotatingToken, false},
		{"errcode", errcodes, stable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hosts := hostsIn(t, 3)
				var moves []string
				c.Moved = func(from, to string) { moves = append(moves, from+" "+to) }
				hosts[0].always(test.first)
				_, err := repeatedly(test.fetch(t, c))
				_, second := hosts[1].counts()
				_, third := hosts[2].counts()
				if third != 0 {
					t.Error("the third host was called")
				}
				if !test.next {
					if second != 0 || err == nil || len(moves) != 0 || c.Host() != "1.test" {
						t.Errorf("%d requests to the second host, %v, moves %q, in use %s", second, err, moves, c.Host())
					}
					return
				}
				if second != 1 || c.Host() != "2.test" || !slices.Equal(moves, []string{"1.test 2.test"}) {
					t.Errorf("%d requests to the second host, %v, moves %q, in use %s", second, err, moves, c.Host())
				}
			})
		})
	}
}

// TestAllHostsUnreachable: each host is tried once per call.
func TestAllHostsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 5)
		var moves []string
		c.Moved = func(from, to string) { moves = append(moves, from+" "+to) }
		for _, h := range hosts {
			h.always(refuses)
		}
		n, err := repeatedly(rotatingToken(t, c))
		if n != len(hosts) || err == nil {
			t.Errorf("%d attempts, %v", n, err)
		}
		for i, h := range hosts {
			if conns, _ := h.counts(); conns != 1 {
				t.Errorf("host %d: %d connections, want 1", i+1, conns)
			}
		}
		hosts[2].always(answers)
		if _, err := repeatedly(rotatingToken(t, c)); err != nil || !slices.Equal(moves, []string{"1.test 3.test"}) {
			t.Errorf("%v, moves %q; want one, to the working host", err, moves)
		}
	})
}

// TestManyCallsMoveOnce: calls that fail together do not skip hosts.
func TestManyCallsMoveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 3)
		hosts[0].always(unreachable)
		var moves atomic.Int32
		c.Moved = func(string, string) { moves.Add(1) }
		if err := together(20, func() error { _, err := repeatedly(rotatingToken(t, c)); return err }); err != nil {
			t.Error(err)
		}
		if _, n := hosts[2].counts(); n != 0 || c.Host() != "2.test" || moves.Load() != 1 {
			t.Errorf("%d requests to the third host, in use %s after %d moves", n, c.Host(), moves.Load())
		}
	})
}

// TestFirstHostAgain: the working host stays in use, and one call every 5 minutes tries the first.
func TestFirstHostAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 3)
		hosts[0].always(refuses)
		hosts[1].always(refuses)
		tries := func(host int) int { n, _ := hosts[host].counts(); return n }
		fetch := func() {
			t.Helper()
			if _, err := repeatedly(rotatingToken(t, c)); err != nil {
				t.Error(err)
			}
		}
		fetch()
		hosts[1].always(answers)
		for range 11 { // now, and every minute for 10 minutes
			fetch()
			time.Sleep(time.Minute)
		}
		if first, second := tries(0), tries(1); first != 3 || second != 1 || c.Host() != "3.test" {
			t.Errorf("in 10 minutes the first host was tried %d times, the second %d, in use %s; want 3, 1, 3.test", first, second, c.Host())
		}
		time.Sleep(5 * time.Minute)
		hosts[0].always(answers)
		before := tries(0)
		_, _ = QueryAuth{Client: c, AppID: "wx01"}.Exchange(t.Context(), "parent", "code")
		if tries(0) != before || c.Host() != "3.test" {
			t.Error("a code was used on the failed host")
		}
		if err := together(10, rotatingToken(t, c)); err != nil {
			t.Error(err)
		}
		if n := tries(0) - before; n != 1 || c.Host() != "1.test" {
			t.Errorf("%d calls tried the first host, want 1; in use %s", n, c.Host())
		}
	})
}

// TestHungHost: a first host that hung is tried again only by a repeatable call.
// Otherwise the answer, and with it a value or a customer's grant, could be lost.
func TestHungHost(t *testing.T) {
	for name, left := range map[string]conduct{"left because it hung": hangs, "hung when it was tried again": refuses} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hosts := hostsIn(t, 2)
				asked := func() int { _, n := hosts[0].counts(); return n }
				hosts[0].always(left)
				if _, err := repeatedly(corpToken(t, c)); err != nil {
					t.Fatal(err)
				}
				if left != hangs {
					hosts[0].always(hangs)
					time.Sleep(5 * time.Minute)
					if err := rotatingToken(t, c)(); err == nil || asked() != 1 {
						t.Errorf("%d requests to a host that was not reached, %v; want 1 that fails", asked(), err)
					}
				}
				before := asked()
				for range 3 {
					time.Sleep(5 * time.Minute)
					if err := rotatingToken(t, c)(); err != nil || asked() != before {
						t.Errorf("%d rotating calls to a host that hangs, %v", asked()-before, err)
					}
				}
				hosts[0].always(answers)
				if err := corpToken(t, c)(); err != nil || c.Host() != "1.test" {
					t.Errorf("%v, in use %s; want 1.test", err, c.Host())
				}
			})
		})
	}
}

// TestLateAnswer: an answer to a call begun before the first host was deselected does not select it
// again.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hosts := hostsIn(t, 2)
		hosts[0].set(func(conn int) conduct {
			if conn == 1 {
				return answers
			}
			return refuses
		})
		var late sync.WaitGroup
		late.Go(func() { _ = rotatingToken(t, c)() })
		time.Sleep(50 * time.Millisecond)
		if _, err := repeatedly(rotatingToken(t, c)); err != nil {
			t.Error(err)
		}
		late.Wait()
		if c.Host() != "2.test" {
			t.Errorf("in use %s, want 2.test", c.Host())
		}
	})
}

// TestRepeatingEndpoints lists the calls that may be repeated after they were sent. Repeating
// another one would create a second value or use up a code.
func TestRepeatingEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := map[string]bool{
			"/cgi-bin/stable_token": true, "/cgi-bin/ticket/getticket": true,
			"/cgi-bin/gettoken": true, "/cgi-bin/get_jsapi_ticket": true, "/cgi-bin/ticket/get": true,
			"/cgi-bin/service/get_provider_token": true, "/cgi-bin/service/get_suite_token": true,
			"/cgi-bin/service/get_corp_token": true, "/cgi-bin/corpgroup/corp/gettoken": true, "/cgi-bin/component/api_get_authorizer_list": true,
			"/cgi-bin/component/api_start_push_ticket": true,

			"/cgi-bin/token": false, "/cgi-bin/component/api_component_token": false,
			"/cgi-bin/component/api_create_preauthcode": false, "/cgi-bin/component/api_authorizer_token": false,
			"/cgi-bin/component/api_query_auth": false, "/cgi-bin/service/get_pre_auth_code": false,
			"/cgi-bin/service/v2/get_permanent_code": false, "/cgi-bin/service/get_permanent_code": false,
		}
		ctx := t.Context()
		ask := Ask{Parent: "parent", Grant: "grant"}
		got := map[string]bool{}
		c := &Client{
			URL: "http://1.test", Fallbacks: []string{"http://2.test"}, Timeout: time.Second,
			Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
			Observe: func(endpoint string, _ time.Duration, err error) {
				te, _ := errors.AsType[*TransportError](err)
				got[endpoint] = te.Repeat > 0
			},
		}
		for _, f := range []interface {
			Fetch(context.Context, Ask) (Token, error)
		}{
			StableToken{c, "wx01", "s"}, AccessToken{c, "wx01", "s"}, Ticket{c, JSAPI}, ComponentToken{c, "wx01", "s"}, PreAuthCode{c, "wx01"},
			AuthorizerToken{c, "wx01", "wx02"}, ProviderToken{c, "ww01", "s"}, SuiteToken{c, "ww01", "s"}, SuitePreAuthCode{c},
			AuthCorpToken{c, "ww01"}, CustomAppToken{c, "ww01"}, CorpToken{c, "ww01", "s"}, CorpTicket{c}, AgentTicket{c},
			DownstreamToken{c, "ww02", 1, 0},
		} {
			_, _ = f.Fetch(ctx, ask)
		}
		_ = StartPush{c, "wx01", "s"}.Start(ctx)
		_, _ = AuthorizerList{c, "wx01"}.Page(ctx, "parent", 0, 1)
		_, _ = QueryAuth{c, "wx01"}.Exchange(ctx, "parent", "code")
		for _, id := range []string{"ww01", "dk01"} {
			_, _ = PermanentCode{c, id}.Exchange(ctx, "parent", secret.Text("code"))
		}
		for path, repeats := range want {
			if is, called := got[path]; !called || is != repeats {
				t.Errorf("%s: called %v, repeated %v, want %v", path, called, is, repeats)
			}
		}
		for path := range got {
			if _, known := want[path]; !known {
				t.Errorf("%s: missing in the list of repeatable calls", path)
			}
		}
	})
}

func TestHosts(t *testing.T) {
	c := &Client{URL: "https://api.weixin.qq.com", Fallbacks: []string{"https://sh.api.weixin.qq.com:8443/path/"}}
	if got := strings.Join(c.Hosts(), " "); got != "api.weixin.qq.com sh.api.weixin.qq.com:8443" {
		t.Errorf("got %s", got)
	}
	if got := new(Client).Host(); got != "" {
		t.Errorf("without a URL: %q", got)
	}
}
