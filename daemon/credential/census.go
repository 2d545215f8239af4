package credential

import (
	"time"

	"tokend/fetchers"
)

// Crowd is the number of requested credentials of one kind, by state, of the customers of one
// platform or suite.
type Crowd struct {
	Platform string // the owner: open_platform/<component_appid>, open_work/<suite_id>
	Kind     string
	States   [StateCount]int // by State
}

// Holds is the number of credentials of one kind that are held for one reason.
type Holds struct {
	Kind     string
	Reason   Reason
	ErrCode  int               // WeChat's; 0 if it sent none
	Reaction fetchers.Reaction // what ErrCode calls for; zero likewise
	N        int
}

// Acts reports whether somebody must act, or a quota be renewed, before a call can succeed.
func (h Holds) Acts() bool { return h.Reaction > fetchers.Retry }

// Census counts the credentials in memory. Its size depends on the number of platforms, kinds and
// errcodes only.
type Census struct {
	Customers []Crowd // sorted by platform and kind
	Holds     []Holds // of customers' credentials and the accounts' own; sorted by kind, reason and errcode
}

// Quota is a budget of calls for one account.
type Quota struct {
	Account string // whose it is: an owner, or the name of a ticket; "" for all of a host
	Word    string // which it is
	Spent   int    // calls within the last Window
	Limit   int
	Window  time.Duration
}

// Refreshes counts refreshes by outcome.
type Refreshes struct {
	OK, Same, Failed int64 // a new value, the current value again, an error
}

// Stat is one counter.
type Stat struct {
	Key   string
	Value int64
}
