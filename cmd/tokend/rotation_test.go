package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// TestKillAroundRotation makes WeChat return a new refresh token with each fetch and kills the
// daemon at a random instant around each fetch. In half of the rounds the kill is between WeChat's
// answer and the reader's. The current refresh token is never lost: after each start the customer's
// token can be fetched with the stored grant, without WeChat's list of customers.
func TestKillAroundRotation(t *testing.T) {
	t.Parallel()
	rounds := 10
	if *faults {
		rounds = 200
	}
	var refused atomic.Int64 // calls with an unknown refresh token
	rotated := make(chan struct{}, 1)
	s := newOwnersSite(t, wechattest.Settings{
		RotateRefreshTokens: true,
		OnCall: func(c wechattest.Call) {
			if c.Endpoint != wechattest.AuthorizerToken {
				return
			}
			if c.ErrCode != 0 {
				refused.Add(1)
			}
			select {
			case rotated <- struct{}{}:
			default:
			}
		},
	}, "")
	const (
		platform = "wxsandboxplatform"
		customer = "open_platform/" + platform + "/wxcustomer1"
		token    = customer + "/access_token"
	)
	s.serve()
	s.pushTicket(platform)
	grant := s.wechat.AddCustomer(platform, "wxcustomer1")
	if err := s.client.Put(t.Context(), customer+"/refresh_token", clientlib.Secret(grant)); err != nil {
		t.Fatal(err)
	}
	took := s.fetchAgain(token)

	unheard, half := 0, 0 // rounds without an answer, and those in which WeChat had rotated nevertheless
	for round := range rounds {
		select {
		case <-rotated: // of the round before
		default:
		}
		before := s.wechat.CurrentGrant(platform, "wxcustomer1")
		var reader sync.WaitGroup
		heard := false
		reader.Go(func() {
			c := &clientlib.Client{Socket: s.conf.Socket()}
			defer c.Close()
			_, err := c.Refresh(context.Background(), token)
			heard = err == nil
		})
		if round%2 == 0 {
			time.Sleep(rand.N(2 * took))
		} else { // the worst time: the answer is on its way to the disk
			select {
			case <-rotated:
			case <-time.After(longEnough):
				t.Fatalf("no call\n%s", s.log())
			}
			span := rand.N(took / 3)
			for began := time.Now(); time.Since(began) < span; {
				// a sleep would be too long
			}
		}
		s.end(syscall.SIGKILL)
		reader.Wait()
		if !heard {
			unheard++
			if s.wechat.CurrentGrant(platform, "wxcustomer1") != before {
				half++
			}
		}
		s.serve()
		s.get(token) // the old value or a new one
		took = max(s.fetchAgain(token), time.Millisecond)
	}
	t.Logf("%d kills: %d before the answer arrived, %d of these after WeChat had rotated the refresh token", rounds, unheard, half)
	if n := refused.Load(); n != 0 {
		t.Errorf("calls with an old refresh token: %d", n)
	}
	if n := s.wechat.Calls(wechattest.AuthorizerList); n != 0 {
		t.Errorf("calls for the list: %d", n)
	}
	if *faults && (half == 0 || unheard == rounds) {
		t.Errorf("the kills were not around the rotation")
	}
}

// fetchAgain refreshes a token, which WeChat must accept, and returns the time that it took.
func (s *site) fetchAgain(name string) time.Duration {
	s.t.Helper()
	began := time.Now()
	v, err := s.client.Refresh(s.t.Context(), name)
	if err != nil {
		s.t.Fatalf("REFRESH: %v\n%s", err, s.log())
	}
	if !s.wechat.Valid(string(v.Value)) {
		s.t.Error("WeChat does not accept the token")
	}
	return time.Since(began)
}
