package simulation

import (
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
)

// noAnswer is the fate of a request that is carried out without an answer.
var noAnswer = kvtest.Fault{Unseen: true}

// stepIn returns the step of a request to etcd.
func (s *script) stepIn(r kvtest.Request) step {
	if r.Method != kvtest.Txn {
		return noStep
	}
	return s.names.read(s.etcd, r.Txn).step
}

// claimOf returns the claim of the first customer's token, and whether there is one.
func (s *script) claim() (record.Claim, bool) {
	for _, kv := range s.etcd.Keys(prefix + "/l/") {
		if r, ok := s.names.open(s.etcd, kv); ok && r.Key == firstCustomer {
			c, err := record.DecodeClaim(r)
			return c, err == nil
		}
	}
	return record.Claim{}, false
}

// TestReleasedNotReused: too little of the lease is left, so the host releases its claim. The
// release is applied, its answer is lost, and the lease is extended. The host must not call under a
// claim that a peer may have.
func TestReleasedNotReused(t *testing.T) {
	play(t, 3, func(s *script) {
		a := s.hosts[0]
		// 5.4 s of the session are left at the claim, and a call takes up to 5 s.
		s.at(a, extends, 1, losesLease, 9800*time.Millisecond, 0)
		s.at(a, extends, 1, rejects, 8600*time.Millisecond, firstName)
		s.at(a, claims, 1, mutesWatch, 30*time.Second, 0)
		s.at(a, claims, 1, refusesRead, 30*time.Second, 0)
		s.at(a, claims, 1, waits, 1350*time.Millisecond, 0)
		s.at(a, gives, 1, rejectsAll, 0, firstName)
		s.at(a, gives, 1, rejects, 2500*time.Millisecond, firstName) // the lease was extended
		for n := range 3 {
			s.at(a, gives, n+1, unseen, 0, 0)
		}
		for _, h := range s.hosts {
			s.at(h, calls, 1, delays, 3500*time.Millisecond, 0)
		}
		time.Sleep(time.Minute)
		if n := s.count("applied, answer lost"); n < 2 {
			t.Errorf("%d releases without an answer, want at least 2", n)
		}
	})
}

// TestLateClaimReleased: the first attempt of a claim is late, and the second one wins, is used and
// is freed. Then the first one takes effect: nobody but its host may release it.
func TestLateClaimReleased(t *testing.T) {
	play(t, 3, func(s *script) {
		a, b := s.hosts[0], s.hosts[1]
		s.at(a, claims, 1, delays, 20*time.Second, 0)
		s.do(event{verb: cutWeChat, host: a.i, d: 10 * time.Second})
		before := s.issuedOf(firstCustomer)
		result := s.asks(a, firstCustomer)
		freed := "host0  txn free " + firstCustomer
		s.waitFor(12*time.Second, "the second attempt is freed", func() bool { return s.count(freed) == 1 })
		s.waitFor(30*time.Second, "the late attempt takes effect, and is released", func() bool { return s.count(freed) == 2 })
		s.waitFor(time.Second, "nothing is left", func() bool { _, ok := s.claim(); return !ok })
		if s.issuedOf(firstCustomer) > before {
			t.Error("somebody has called")
		}
		<-s.asks(b, firstCustomer)
		<-result
	})
}

// TestDoubtPutBack: a call is sent and has no answer. A host that takes the claim over and cannot
// reach WeChat must not free it: the refresh token that the hosts know is about to die.
func TestDoubtPutBack(t *testing.T) {
	play(t, 3, func(s *script) {
		a := s.hosts[0]
		s.at(a, answers, 1, loses, 0, 1)
		for _, h := range s.hosts[1:] {
			s.do(event{verb: cutWeChat, host: h.i, d: 100 * time.Second})
		}
		result := s.asks(a, firstCustomer)
		s.waitFor(10*time.Second, "the call", func() bool { return s.saw("answer to component/api_authorizer_token") })
		s.do(event{verb: cutWeChat, host: a.i, d: 100 * time.Second})
		for range 9 {
			time.Sleep(10 * time.Second)
			if _, ok := s.claim(); !ok {
				t.Error("nothing is due although WeChat's newest value is unknown")
				break
			}
		}
		if !s.saw("host1  txn doubt about") && !s.saw("host2  txn doubt about") {
			t.Error("no other host has taken the claim over")
		}
		s.waitFor(5*time.Minute, "the newest value is stored", func() bool { return s.newest(firstCustomer) })
		<-result
	})
}

// TestAnswerNotDropped: a landing without an answer, or a landing that is refused although the
// answer came in time, must leave WeChat's newest value in the store.
func TestAnswerNotDropped(t *testing.T) {
	t.Run("applied unseen", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a := s.hosts[0]
			var n atomic.Int32
			s.faults(func(h *host, r kvtest.Request) (kvtest.Fault, bool) {
				if h != a || s.stepIn(r) != lands {
					return kvtest.Fault{}, false
				}
				return noAnswer, n.Add(1) <= 4
			})
			before := s.issuedOf(firstCustomer)
			<-s.asks(a, firstCustomer)
			s.waitFor(20*time.Second, "the landing is recognized", func() bool { return s.unrest() == "" })
			if got := s.issuedOf(firstCustomer) - before; n.Load() < 4 || got != 1 || !s.newest(firstCustomer) {
				t.Errorf("%d attempts of the landing, %d calls, newest stored: %v", n.Load(), got, s.newest(firstCustomer))
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a, b := s.hosts[0], s.hosts[1]
			s.at(a, calls, 1, delays, 3*time.Second, 0)
			first := s.asks(a, firstCustomer)
			s.waitFor(5*time.Second, "the call", func() bool { return s.saw("host0  call component/api_authorizer_token") })
			s.do(event{verb: expires, step: calls, host: a.i}) // for no reason: b may call now
			second := s.asks(b, firstCustomer)
			<-second
			<-first
			s.waitFor(time.Minute, "the newest value is stored", func() bool { return s.newest(firstCustomer) && s.unrest() == "" })
		})
	})
	t.Run("lost", func(t *testing.T) {
		play(t, 3, func(s *script) {
			a := s.hosts[0]
			var n atomic.Int32
			s.faults(func(h *host, r kvtest.Request) (kvtest.Fault, bool) {
				if h != a || s.stepIn(r) != lands {
					return kvtest.Fault{}, false
				}
				return kvtest.Fault{Refuse: cluster.ErrNoSpace}, n.Add(1) <= 2
			})
			<-s.asks(a, firstCustomer)
			s.waitFor(time.Minute, "the newest value is stored", func() bool { return s.newest(firstCustomer) && s.unrest() == "" })
		})
	})
}
