package simulation

import (
	"testing"
	"time"

	"tokend/fetchers/secret"
)

// TestExchangeDuringRefresh: a customer authorizes again while the customer's token is refreshed.
// WeChat answers the code with a token, and the refresh after that with the token that counts. The
// host has put the first one in force by then, and no host knows that it is about to die.
func TestExchangeDuringRefresh(t *testing.T) {
	play(t, 3, func(s *script) {
		a := s.hosts[0]
		s.at(a, lands, 1, delays, 300*time.Millisecond, 0) // of the code
		s.at(a, answers, 2, delays, time.Second, 0)        // of the refresh
		before := s.issuedOf(firstCustomer)
		s.ops.Go(func() {
			_, err := s.engine(a).Exchange(s.ctx, platform, secret.Text(s.fake.Authorize(component, "wxcustomer1")))
			s.note(a, "EXCHANGE: %v", err)
		})
		s.waitFor(5*time.Second, "the answer to the code", func() bool { return s.issuedOf(firstCustomer) == before+1 })
		result := s.asks(a, firstCustomer)
		s.waitFor(5*time.Second, "the answer to the refresh", func() bool { return s.issuedOf(firstCustomer) == before+2 })
		<-result
		s.waitFor(10*time.Second, "the newest value is stored", func() bool { return s.newest(firstCustomer) })
	})
}

// TestRefreshDuringExchange is the reverse at two hosts: WeChat answers the refresh of one host,
// and then the code of another, which was sent first. The answer to the refresh arrives last, and
// does not replace the token that counts for long.
func TestRefreshDuringExchange(t *testing.T) {
	play(t, 3, func(s *script) {
		a, b := s.hosts[0], s.hosts[1]
		s.at(a, calls, 1, delays, time.Second, 0)     // with the code
		s.at(b, answers, 1, delays, 3*time.Second, 0) // of the refresh
		before := s.issuedOf(firstCustomer)
		s.ops.Go(func() {
			_, err := s.engine(a).Exchange(s.ctx, platform, secret.Text(s.fake.Authorize(component, "wxcustomer1")))
			s.note(a, "EXCHANGE: %v", err)
		})
		time.Sleep(300 * time.Millisecond)
		result := s.asks(b, firstCustomer)
		s.waitFor(5*time.Second, "both answers", func() bool { return s.issuedOf(firstCustomer) == before+2 })
		<-result
		s.waitFor(10*time.Second, "the newest value is stored", func() bool { return s.newest(firstCustomer) })
	})
}
