// Package policy describes kinds of credentials and hosts of WeChat to the engine, as values. A
// policy says when a value is refreshed, what a refresh does to the value before it, and which
// budgets its calls are charged to. A host says what happens to callers that call too often.
//
// A vendor is added by values of its own. The package does not know names, accounts or the engine.
package policy

import (
	"time"

	"tokend/daemon/quota"
)

// Policy is how credentials of one kind are refreshed. All credentials of a kind share one, which
// nobody changes.
type Policy struct {
	// Word names the kind in STATUS, metrics and the status page.
	Word string

	// Rotates: every fetch makes a new value and ends the old one after an overlap (5 minutes).
	// Fetched ahead once, never in a loop. Otherwise an early fetch repeats the current value.
	Rotates bool

	// Lead is how long before its end a value is refreshed.
	Lead time.Duration

	// FirstSeen: the expires_in of a repeated value says nothing about its age, so a value that is
	// seen for the first time may be older than it looks.
	FirstSeen bool

	// Forcible: an operator's refresh may force a new value (force_refresh).
	Forcible bool

	// Pushed is how long a value lives that WeChat pushes and that cannot be fetched; zero for what
	// is fetched. Quiet is how long without a push is too long. Nudges are the budgets of the calls
	// that ask for another push.
	Pushed, Quiet time.Duration
	Nudges        []quota.Budget

	// PerAsk: fetched for each request, never stored, never shared. Its first budget is replaced by
	// a configured limit.
	PerAsk bool

	// Lapses: left to expire if nobody has requested it for a lifetime. A platform has many
	// customers, of whom few are served at a time. Configured: it is named in the configuration all
	// the same, and idle after it has lapsed.
	Lapses, Configured bool

	// Grant: given once by a customer; never fetched ahead, never shown.
	Grant bool

	// Budgets are charged for every call, Forced for a forced one as well.
	Budgets, Forced []quota.Budget
}

// String returns the kind's word.
func (p *Policy) String() string { return p.Word }

// Host is what callers of one upstream host must observe, whatever they call. Calls to one host do
// not delay calls to another.
type Host struct {
	// Name returns the name of the host in use, for STATUS; nil if there is none to show.
	Name func() string

	// Crowded is the errcode for too many calls at once; zero if the host has none. The engine then
	// makes fewer calls at once.
	Crowded int

	// Faults limits the calls that the host refuses with an errcode; nil for no limit. Its key is
	// its word, so hosts have different ones. After a failure a credential is not fetched beyond
	// Failing such calls: a wrong secret with a thousand customers does not stop the others.
	Faults  *quota.Budget
	Failing int
}
