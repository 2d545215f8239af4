package credential

import (
	"fmt"
	"time"
)

// Cause is why a refresh was made.
type Cause uint8

// Causes.
const (
	CauseSchedule Cause = iota + 1
	CauseRead
	CauseReject
	CauseRefresh
	CauseParent
	CausePush
	CauseStart
)

var causeNames = [...]string{"-", "schedule", "read", "reject", "refresh", "parent", "push", "start"}

// String returns the protocol's word for c.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", c)
}

// Attempt is one refresh in the history of a credential.
type Attempt struct {
	At      time.Time
	Cause   Cause
	Outcome string // "ok", "same", or the reason of the failure in lower case
	ErrCode int
	RID     string
	Took    time.Duration
}

// Event is one refresh of the credential Name.
type Event struct {
	Name string
	Attempt
}
