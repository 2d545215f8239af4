package simulation

import (
	"strings"
	"testing"
	"time"
)

// alonePlan is a schedule of a single host without peers and without faults.
func alonePlan(seed uint64) *plan {
	p := newPlan(seed, random)
	p.alone, p.hosts, p.odd, p.oddHost = true, 1, likeOthers, 0
	p.names = append([]string{firstCustomer, rotatingToken}, someNames...)
	p.rounds = []round{{lasts: 30 * time.Minute}}
	return p
}

// TestSimulateAlone shows that a schedule without faults breaks no promise, and that the simulation
// notices a host that loses refresh tokens, serves dead values or calls twice at once.
func TestSimulateAlone(t *testing.T) {
	for _, tc := range []struct {
		flaw flaw
		want string
	}{
		{"", ""},
		{dropsGrants, "the grant of open_platform/wxcomponent/wxcustomer1 in the store is not the live one"},
		{longLives, "for longer than it lives"},
		{callsTwice, "2 calls under way at once"},
	} {
		t.Run(string(tc.flaw), func(t *testing.T) {
			p := alonePlan(1)
			p.flaw = tc.flaw
			o := perform(t, p)
			if got := strings.Join(o.wrong, "\n"); (got != "") != (tc.want != "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q\n%s", got, tc.want, o.timeline)
			}
		})
	}
}
