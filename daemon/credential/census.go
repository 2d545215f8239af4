package credential

import (
	"time"

	"tokend/fetchers"
)

// CustomerStates counts, by state, the requested credentials of one kind of the customers of one
// platform or suite.
type CustomerStates struct {
	Platform string // the owner: open_platform/<component_appid>, open_work/<suite_id>
	Kind     string
	States   [StateCount]int // by State
}

// Holds is the number of credentials of one kind that are held for one reason.
type Holds struct {
	Kind     string
	Reason   Reason
	ErrCode  int               // WeChat's; 0 if it sent none
	Reaction fetchers.Reaction // the reaction to ErrCode; zero if WeChat sent none
	N        int
}

// Acts reports whether a call can succeed only after an operator or a customer acts, or a quota is
// renewed.
func (h Holds) Acts() bool { return h.Reaction > fetchers.Retry }

// Census counts the credentials in memory. Its size depends on the number of platforms, kinds and
// errcodes only.
type Census struct {
	Customers []CustomerStates // sorted by platform and kind
	Holds     []Holds          // of customers' credentials and the accounts' own; sorted by kind, reason and errcode
}

// Quota is a budget of calls for one account.
type Quota struct {
	Account string // an owner, or the name of a ticket; "" for all calls to a host
	Word    string // the name of the budget
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
