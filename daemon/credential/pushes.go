package credential

import "time"

// Refusal is why a push was refused.
type Refusal uint8

// Refusals.
const (
	WrongSignature Refusal = iota // not signed with the owner's token
	WrongReceiver                 // for another account
	WrongKey                      // not encrypted with the owner's EncodingAESKey
	WrongForm                     // not a message of WeChat's
	WrongOwner                    // the URL names an owner that is not configured
)

var refusalNames = [...]string{"signature", "receiver", "key", "form", "owner"}

// RefusalCount is the number of refusals.
const RefusalCount = len(refusalNames)

// String returns the protocol's word for r.
func (r Refusal) String() string { return refusalNames[r] }

// Refusals is how many pushes were refused since the daemon started.
type Refusals struct {
	N    [RefusalCount]int64 // by Refusal
	Last time.Time           // when the last one was; zero for none
}

// Add counts a push that was refused at now.
func (r *Refusals) Add(why Refusal, now time.Time) {
	r.N[why]++
	r.Last = now
}

// Total returns the number of refused pushes.
func (r *Refusals) Total() (n int64) {
	for _, k := range r.N {
		n += k
	}
	return n
}
