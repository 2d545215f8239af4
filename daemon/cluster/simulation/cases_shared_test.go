package simulation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// TestRejectAtAllHosts: clients reject the same value on all hosts at once. One call is made, and
// all get its value.
func TestRejectAtAllHosts(t *testing.T) {
	for _, name := range []string{firstCustomer, rotatingToken, componentToken} {
		t.Run(name, func(t *testing.T) {
			play(t, 5, func(s *script) {
				before := s.issuedOf(name)
				var results []<-chan error
				for _, h := range s.hosts {
					results = append(results, s.asks(h, name))
				}
				for i, r := range results {
					if err := <-r; err != nil {
						t.Errorf("host%d: %v", i, err)
					}
				}
				if got := s.issuedOf(name) - before; got != 1 {
					t.Errorf("%d calls, want one", got)
				}
				for _, h := range s.hosts {
					if v := s.get(h, name); v != s.truth.current()[name].value {
						t.Errorf("%s does not serve the new value", h.name)
					}
				}
			}, func(p *plan) { p.names = []string{firstCustomer, rotatingToken, componentToken} })
		})
	}
}

// TestSamePushAtTwoHosts: a ticket or a code arrives at two hosts. The newest ticket is in force,
// and a code is exchanged once.
func TestSamePushAtTwoHosts(t *testing.T) {
	t.Run("ticket", func(t *testing.T) {
		play(t, 3, func(s *script) {
			older := secret.Text(s.fake.TicketPush(component).Event.Ticket)
			at := time.Now()
			time.Sleep(2 * time.Second)
			newer := secret.Text(s.fake.TicketPush(component).Event.Ticket)
			for i, push := range []struct {
				value secret.Text
				at    time.Time
			}{{newer, at.Add(2 * time.Second)}, {older, at}, {newer, at.Add(2 * time.Second)}} {
				if err := s.engine(s.hosts[i]).Push(s.ctx, verifyTicket, push.value, push.at); err != nil {
					t.Errorf("push %d: %v", i, err)
				}
				s.truth.acknowledged(verifyTicket, ticket{string(push.value), push.at})
			}
			time.Sleep(time.Second)
			for _, h := range s.hosts {
				if got := s.get(h, verifyTicket); got != string(newer) {
					t.Errorf("%s does not have the newest ticket", h.name)
				}
			}
		})
	})
	t.Run("code", func(t *testing.T) {
		play(t, 3, func(s *script) {
			c := customers[0]
			key := "/cgi-bin/component/api_query_auth " + component
			code := secret.Text(s.fake.Authorize(c.owner, c.id))
			at, until := time.Now(), s.fake.Ends(string(code))
			results := make(chan error)
			for _, h := range s.hosts[:2] {
				e := s.engine(h)
				s.ops.Go(func() { results <- e.AcceptFrom(s.ctx, c.ownerPath(), c.id, code, at, until) })
			}
			for range 2 {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Minute)
			if got := s.spent(key); got != 1 {
				t.Errorf("%d exchanges, want one", got)
			}
			if err := s.engine(s.hosts[2]).AcceptFrom(s.ctx, c.ownerPath(), c.id, code, at, until); err != nil {
				t.Errorf("the code again: %v", err)
			}
			time.Sleep(time.Minute)
			if got := s.spent(key); got != 1 {
				t.Errorf("%d exchanges after the code came again, want one", got)
			}
		})
	})
}

// spent returns how many calls WeChat has counted for an endpoint and an account.
func (s *script) spent(key string) int {
	s.truth.mu.Lock()
	defer s.truth.mu.Unlock()
	return len(s.truth.spent[key])
}

// TestWallClocksDiffer: whatever wall clocks show, a value ends on no host later than at WeChat,
// and on none much earlier.
func TestWallClocksDiffer(t *testing.T) {
	play(t, 4, func(s *script) {
		for i, h := range s.hosts {
			h.mu.Lock()
			h.wall = time.Duration(i-2) * 3 * time.Hour
			h.mu.Unlock()
		}
		for _, h := range s.hosts[1:] {
			h.cuts(24*time.Hour, fromWeChat)
		}
		<-s.asks(s.hosts[0], rotatingToken)
		time.Sleep(time.Second)
		ends := s.truth.current()[rotatingToken].ends
		s.hosts[0].cuts(24*time.Hour, fromWeChat)
		for _, h := range s.hosts {
			e := s.engine(h)
			v, ok := e.Cached([]byte(rotatingToken), e.Now())
			if !ok {
				t.Errorf("%s does not serve the value", h.name)
				continue
			}
			if left := time.Until(ends); v.TTL > left || v.TTL < left-5*time.Second {
				t.Errorf("%s: the value ends in %v, at WeChat in %v", h.name, v.TTL, left)
			}
		}
	}, func(p *plan) { p.names = []string{firstCustomer, rotatingToken} })
}

// TestSecretChangedOnOneHost: a host with the old secret holds itself. Others fetch, and it serves
// the result.
func TestSecretChangedOnOneHost(t *testing.T) {
	play(t, 3, func(s *script) {
		old, other := s.hosts[0], s.hosts[1]
		if err := <-s.asks(old, rotatingToken); err == nil {
			t.Error("WeChat has accepted the old secret")
		}
		if err := <-s.asks(other, rotatingToken); err != nil {
			t.Errorf("the host with the new secret: %v", err)
		}
		time.Sleep(time.Second)
		if v := s.get(old, rotatingToken); v != s.truth.current()[rotatingToken].value {
			t.Error("the host with the old secret does not serve the new value")
		}
	}, func(p *plan) { p.names = []string{firstCustomer, rotatingToken}; p.odd, p.oddHost = otherSecret, 0 })
}

// TestEtcdRestored: etcd is restored from a backup of an hour ago. No grant is lost, and the newest
// value is in force.
func TestEtcdRestored(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("renamed %v", renamed), func(t *testing.T) {
			play(t, 3, func(s *script) {
				backup := s.etcd.Backup()
				for i := range 4 {
					time.Sleep(15 * time.Minute)
					s.pushTickets(s.ctx)
					if err := <-s.asks(s.hosts[i%3], firstCustomer); err != nil {
						t.Error(err)
					}
				}
				s.etcd.Restore(backup, renamed)
				s.waitFor(time.Minute, "the newest value and grant are back", func() bool {
					g, _ := record.DecodeGrant(s.stored()[id{record.Grants, customers[0].grant()}])
					return s.newest(firstCustomer) && string(g.Value) == s.fake.CurrentGrant(component, "wxcustomer1")
				})
			})
		})
	}
}

// TestBudgetsShared: twenty hosts keep a budget exactly. Without etcd, each has its share of the
// spare calls.
func TestBudgetsShared(t *testing.T) {
	const ticket = "official_account/" + stableApp + "/jsapi_ticket"
	const key = "/cgi-bin/ticket/getticket " + stableApp
	t.Run("with etcd", func(t *testing.T) {
		play(t, 20, func(s *script) {
			begun := time.Now()
			for time.Since(begun) < tightWindow-time.Minute {
				for _, h := range s.hosts {
					e := s.engine(h)
					s.ops.Go(func() {
						ctx, cancel := context.WithTimeout(s.ctx, patience)
						defer cancel()
						_, _ = e.Refresh(ctx, ticket)
					})
				}
				time.Sleep(70 * time.Second) // a repeated value answers a REFRESH for a while
			}
			if got := s.spent(key); got > tightLimit || got < tightLimit-1 {
				t.Errorf("%d calls within %v, limit %d", got, tightWindow, tightLimit)
			}
		}, func(p *plan) { p.names = []string{firstCustomer, ticket}; p.tight = true })
	})
	t.Run("without etcd", func(t *testing.T) {
		play(t, 4, func(s *script) {
			begun, before := time.Now(), s.spent(key)
			for _, h := range s.hosts {
				h.cuts(time.Hour, fromEtcd)
			}
			time.Sleep(20 * time.Second)
			used := map[*host]int{}
			for time.Since(begun) < tightWindow-time.Minute {
				for _, h := range s.hosts {
					n := s.spent(key)
					s.refresh(s.engine(h), ticket)
					used[h] += s.spent(key) - n
				}
				time.Sleep(70 * time.Second)
			}
			for _, h := range s.hosts {
				if share := max(tightSpare/4, 1); used[h] > share || used[h] == 0 {
					t.Errorf("%s: %d calls without etcd, its share is %d", h.name, used[h], share)
				}
			}
			if got := s.spent(key) - before; got > tightSpare {
				t.Errorf("%d calls without etcd, spare are %d", got, tightSpare)
			}
		}, func(p *plan) { p.names = []string{firstCustomer, ticket}; p.tight = true })
	})
}

func (s *script) refresh(e *refresh.Engine, name string) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_, _ = e.Refresh(ctx, name)
}
