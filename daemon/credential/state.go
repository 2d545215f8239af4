package credential

import (
	"fmt"
	"time"

	"tokend/fetchers"
)

// State says whether a credential has a valid value.
type State uint8

// States.
const (
	Idle    State = iota // never requested
	Fresh                // valid
	Stale                // valid, but the last refresh failed
	Expired              // no valid value
	Waiting              // no valid value until WeChat pushes one
	Held                 // no valid value, and no call until an operator acts or the hold ends
)

var stateNames = [...]string{"idle", "fresh", "stale", "expired", "waiting", "held"}

// StateCount is the number of states.
const StateCount = len(stateNames)

// String returns the protocol's word for s.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", s)
}

// Listing is a credential's line in a list, and the event of a watch.
type Listing struct {
	Name  string
	State State
	// TTL is the remaining life; zero without a valid value.
	TTL time.Duration
}

// Status is everything about a credential except its value. Zero fields mean "none".
type Status struct {
	Listing
	Kind        string
	Parent      string
	FetchedAt   time.Time
	ExpiresAt   time.Time
	NextRefresh time.Time
	Pushed      bool // by WeChat, and never fetched: NextRefresh is when tokend warns that pushes have stopped

	// HoldUntil is when the engine calls WeChat again by itself after a failure; zero if only an
	// event or an operator ends the hold. Held reports that an operator or a customer must act
	// before a call can succeed.
	HoldUntil time.Time
	Held      bool
	LastError string

	// Source and Generations are set for a grant: the origin of its value, and the number of stored
	// values, including the current one (at most 5).
	Source      string
	Generations int
	ErrorAt     time.Time
	ErrCode     int

	// Reason and Reaction explain LastError. Reaction is the reaction to ErrCode, and zero if
	// WeChat sent no errcode. Derived reports that the error is the parent's.
	Reason   Reason
	Reaction fetchers.Reaction
	Derived  bool

	// Host is the host of its calls; empty for a credential that is not fetched.
	Host string

	// Address is this host's IP address, if WeChat named it when refusing a call.
	Address  string
	Failures int // refreshes that failed since the last success

	// Fingerprint tells two values apart without showing either.
	Fingerprint string

	// Durable is false while a value is served that the disk has refused.
	Durable bool

	// Refused counts the pushes to the owner of a pushed ticket that were refused; nil for others.
	Refused *Refusals

	// Readers counts the reads of the credential; nil for a grant.
	Readers *Readers

	// Shared is what several hosts know of it; nil on a single host.
	Shared *Shared
}

// Shared is what several hosts know of a credential that all of them serve.
type Shared struct {
	RefreshedBy string // the host that fetched the value; empty if none is known
	ClaimedBy   string // the host that is fetching it; empty for none
	Doubt       bool   // the last call may have rotated the value and had no answer
	Unconfirmed bool   // it rotates, and this host may have missed a rotation
	Stored      bool   // the record is in etcd; otherwise it is on this host only so far
	Number      uint64 // of a grant; zero for none
	Revision    int64  // of the record in etcd; zero for none
}

// Summary is the part of a [Status] that metrics need: numbers, times and words of a small set.
// Zero times mean "none".
type Summary struct {
	Name        string
	Kind        string
	State       State
	FetchedAt   time.Time
	ExpiresAt   time.Time
	NextRefresh time.Time
	ErrCode     int
	Failures    int // refreshes that failed since the last success
	Durable     bool
}
