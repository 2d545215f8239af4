package simulation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tokend/daemon/record"
)

// ttl is how long a session lasts with the default timeout of calls.
const ttl = 15 * time.Second

// TestHostDies: a host dies during a flight. Another host takes over within TTL + 1 s, and nothing
// is lost.
func TestHostDies(t *testing.T) {
	for _, tc := range []struct {
		name  string
		step  step
		kept  bool // the answer has reached the disk
		calls int
	}{
		{"before the call", calls, false, 1},
		{"without the answer", answers, false, 2},
		{"with the answer", journals, false, 2},
		{"with the answer on its disk", journals, true, 3}, // offered at its restart, with doubt
	} {
		for _, disk := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, disk %v", tc.name, disk), func(t *testing.T) {
				play(t, 3, func(s *script) {
					a := s.hosts[0]
					v, n := crashes, uint64(0)
					if tc.kept {
						n = 1
					}
					if !disk {
						v = dies
					}
					s.at(a, tc.step, 1, v, 2*time.Minute, n)
					before, old := s.issuedOf(firstCustomer), s.truth.current()[firstCustomer].value
					s.asks(a, firstCustomer)
					s.waitFor(5*time.Second, "the host dies", func() bool { return a.current() == nil })
					for _, h := range s.hosts[1:] {
						s.get(h, firstCustomer) // clients read it lately
					}
					late := s.waitFor(time.Minute, "a new value is stored", func() bool { return s.newest(firstCustomer) && s.storedValue(firstCustomer) != old })
					if late > ttl+time.Second {
						t.Errorf("the next value came after %v", late)
					}
					time.Sleep(3 * time.Minute)
					want := tc.calls
					if !disk {
						want = min(want, 2)
					}
					if got := s.issuedOf(firstCustomer) - before; got != want {
						t.Errorf("%d calls, want %d", got, want)
					}
					if !s.fake.Valid(s.get(s.hosts[1], firstCustomer)) {
						t.Error("a dead value is served")
					}
				})
			})
		}
	}
}

// TestOutcomeUnknown: a transaction without an answer takes effect once or not at all. No further
// call is made for it.
func TestOutcomeUnknown(t *testing.T) {
	for _, st := range []step{claims, lands} {
		for _, v := range []verb{loses, unseen, delays, doubles} {
			t.Run(fmt.Sprintf("%s %s", st, v), func(t *testing.T) {
				play(t, 3, func(s *script) {
					a := s.hosts[0]
					s.at(a, st, 1, v, 3*time.Second, 0)
					before := s.issuedOf(firstCustomer)
					if err := <-s.asks(a, firstCustomer); err != nil {
						t.Error(err)
					}
					time.Sleep(20 * time.Second)
					if got := s.issuedOf(firstCustomer) - before; got != 1 || !s.newest(firstCustomer) {
						t.Errorf("%d calls, want one; newest stored: %v", got, s.newest(firstCustomer))
					}
				})
			})
		}
	}
}

// TestCutOffFromEtcd: a host without etcd serves what it has and makes no rotating call. Peers
// continue, and the host catches up within a second.
func TestCutOffFromEtcd(t *testing.T) {
	for _, also := range []bool{false, true} {
		t.Run(fmt.Sprintf("and from WeChat %v", also), func(t *testing.T) {
			play(t, 3, func(s *script) {
				a, b := s.hosts[0], s.hosts[1]
				from := []side{fromEtcd}
				if also {
					from = append(from, fromWeChat)
				}
				a.cuts(time.Minute, from...)
				time.Sleep(10 * time.Second)
				old := s.get(a, firstCustomer)
				if err := <-s.asks(a, firstCustomer); err == nil {
					t.Error("a host without etcd has rotated a token")
				}
				if err := <-s.asks(b, firstCustomer); err != nil {
					t.Errorf("the peer: %v", err)
				}
				if got := s.get(a, firstCustomer); got != old {
					t.Error("the host does not serve what it had")
				}
				s.waitFor(time.Minute, "the host is reachable again", func() bool { return !a.isCut(fromEtcd) })
				late := s.waitFor(10*time.Second, "the host has the new value", func() bool { return s.get(a, firstCustomer) != old })
				if late > time.Second {
					t.Errorf("the new value came after %v", late)
				}
			})
		})
	}
}

// TestCutOffFromWeChat: the next host calls: after the pause of its rank if the call was not sent,
// at once if it was.
func TestCutOffFromWeChat(t *testing.T) {
	t.Run("not sent", func(t *testing.T) {
		play(t, 3, func(s *script) {
			first := s.hosts[slices.IndexFunc(s.hosts, func(h *host) bool {
				rank, _ := h.current().peers.Load().Rank(firstCustomer)
				return rank == 0
			})]
			s.do(event{verb: cutWeChat, host: first.i, d: time.Hour})
			before := s.issuedOf(firstCustomer)
			due := func() bool { c, ok := s.claim(); return ok && c.Host == first.name }
			for until := time.Now().Add(12 * time.Minute); !due() && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				if time.Until(until)%(5*time.Second) < 5*time.Millisecond {
					s.readAll() // clients read it lately
				}
			}
			if !due() {
				t.Fatal("the first host does not refresh the value")
			}
			// The first call may wait for its timeout of 5 s.
			s.waitFor(8*time.Second, "a peer has called", func() bool { return s.issuedOf(firstCustomer) == before+1 && s.newest(firstCustomer) })
		}, func(p *plan) { p.life = 12 * time.Minute })
	})
	t.Run("sent", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a := s.hosts[0]
			s.at(a, answers, 1, loses, 0, 1)
			before := s.issuedOf(firstCustomer)
			result := s.asks(a, firstCustomer)
			s.waitFor(5*time.Second, "the call", func() bool { return s.saw("answer to component/api_authorizer_token") })
			s.do(event{verb: cutWeChat, host: a.i, d: time.Minute})
			for _, h := range s.hosts[1:] {
				s.get(h, firstCustomer)
			}
			s.waitFor(8*time.Second, "a peer has called", func() bool { return s.issuedOf(firstCustomer) == before+2 && s.newest(firstCustomer) })
			<-result
		})
	})
}

// TestStoppedWithAnswer stops a host (SIGSTOP) when it has an answer.
func TestStoppedWithAnswer(t *testing.T) {
	t.Run("no takeover", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a := s.hosts[0]
			before := s.issuedOf(firstCustomer)
			s.at(a, answers, 1, pauses, 4*time.Second, 0)
			<-s.asks(a, firstCustomer)
			s.waitFor(20*time.Second, "the answer lands", func() bool { return s.newest(firstCustomer) && s.unrest() == "" })
			if got := s.issuedOf(firstCustomer) - before; got != 1 {
				t.Errorf("%d calls, want one", got)
			}
		})
	})
	t.Run("taken over", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a, b := s.hosts[0], s.hosts[1]
			before := s.issuedOf(firstCustomer)
			s.at(a, journals, 1, pauses, time.Minute, 0)
			result := s.asks(a, firstCustomer)
			s.waitFor(5*time.Second, "the answer", func() bool { return a.isPaused() })
			s.waitFor(25*time.Second, "a peer has called", func() bool {
				return s.get(b, firstCustomer) != "" && s.issuedOf(firstCustomer) == before+2 && s.newest(firstCustomer)
			})
			<-result
			s.waitFor(90*time.Second, "one more value is fetched and stored", func() bool { return s.issuedOf(firstCustomer) >= before+3 && s.newest(firstCustomer) })
			time.Sleep(30 * time.Second)
			if got := s.issuedOf(firstCustomer) - before; got != 3 {
				t.Errorf("%d calls, want three", got)
			}
		})
	})
	t.Run("between check and send", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a, b := s.hosts[0], s.hosts[1]
			before := s.issuedOf(firstCustomer)
			s.at(a, calls, 1, pauses, time.Minute, 0)
			result := s.asks(a, firstCustomer)
			s.waitFor(5*time.Second, "the pause", func() bool { return a.isPaused() })
			s.waitFor(25*time.Second, "a peer has called", func() bool {
				return s.get(b, firstCustomer) != "" && s.issuedOf(firstCustomer) == before+1 && s.newest(firstCustomer)
			})
			s.waitFor(70*time.Second, "the late call", func() bool { return s.issuedOf(firstCustomer) == before+2 })
			s.waitFor(15*time.Second, "the newest value is stored", func() bool { return s.newest(firstCustomer) && s.issuedOf(firstCustomer) > before+2 })
			<-result
		})
	})
}

// TestAnswerOfferedAtRestart: a host dies with a refresh token on its disk, and a peer has called
// since. After its restart, the token is a further generation of the grant.
func TestAnswerOfferedAtRestart(t *testing.T) {
	play(t, 3, func(s *script) {
		a := s.hosts[0]
		s.at(a, journals, 1, crashes, time.Minute, 1)
		s.asks(a, firstCustomer)
		s.waitFor(5*time.Second, "the host dies", func() bool { return a.current() == nil })
		lost := s.fake.CurrentGrant(component, "wxcustomer1")
		s.waitFor(30*time.Second, "a peer has called", func() bool {
			s.get(s.hosts[1], firstCustomer)
			return s.fake.CurrentGrant(component, "wxcustomer1") != lost
		})
		s.waitFor(2*time.Minute, "the lost token is a generation of the grant", func() bool {
			g, _ := record.DecodeGrant(s.stored()[id{record.Grants, customers[0].grant()}])
			return slices.ContainsFunc(g.Earlier, func(x record.Generation) bool { return string(x.Value) == lost })
		})
	})
}

// TestMembersFrozen: while a member of etcd is frozen, its hosts use another one.
func TestMembersFrozen(t *testing.T) {
	play(t, 3, func(s *script) {
		s.do(event{verb: freezes, n: 0, d: time.Minute})
		for i := range s.hosts {
			s.waitFor(20*time.Second, "a host refreshes", func() bool { return <-s.asks(s.hosts[i], firstCustomer) == nil })
		}
	})
}
