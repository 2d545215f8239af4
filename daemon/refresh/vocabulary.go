package refresh

import vocabulary "tokend/daemon/credential"

// The words that the engine and its callers share.
type (
	Attempt    = vocabulary.Attempt
	Cause      = vocabulary.Cause
	Census     = vocabulary.Census
	Crowd      = vocabulary.Crowd
	Deposit    = vocabulary.Deposit
	Error      = vocabulary.Error
	Holds      = vocabulary.Holds
	ImportPage = vocabulary.ImportPage
	Listing    = vocabulary.Listing
	Readers    = vocabulary.Readers
	Quota      = vocabulary.Quota
	Reason     = vocabulary.Reason
	Refreshes  = vocabulary.Refreshes
	Standing   = vocabulary.Standing
	Stat       = vocabulary.Stat
	State      = vocabulary.State
	Status     = vocabulary.Status
	Value      = vocabulary.Value
)

const (
	Idle       = vocabulary.Idle
	Fresh      = vocabulary.Fresh
	Stale      = vocabulary.Stale
	Expired    = vocabulary.Expired
	Waiting    = vocabulary.Waiting
	Held       = vocabulary.Held
	StateCount = vocabulary.StateCount

	CauseSchedule = vocabulary.CauseSchedule
	CauseRead     = vocabulary.CauseRead
	CauseReject   = vocabulary.CauseReject
	CauseRefresh  = vocabulary.CauseRefresh
	CauseParent   = vocabulary.CauseParent
	CausePush     = vocabulary.CausePush
	CauseStart    = vocabulary.CauseStart

	Internal    = vocabulary.Internal
	NotFound    = vocabulary.NotFound
	NoTicket    = vocabulary.NoTicket
	Refused     = vocabulary.Refused
	Unreachable = vocabulary.Unreachable
	Limited     = vocabulary.Limited
	Reauth      = vocabulary.Reauth
	Busy        = vocabulary.Busy
	Stopping    = vocabulary.Stopping
	Denied      = vocabulary.Denied
	Unfit       = vocabulary.Unfit
	ReasonCount = vocabulary.ReasonCount

	Never = vocabulary.Never
)

var (
	WithUser = vocabulary.WithUser
	UserOf   = vocabulary.UserOf
)

func ownerOf(name string) string { return vocabulary.OwnerOf(name) }
