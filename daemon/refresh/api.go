package refresh

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// Instant is a moment of the clock that lives are measured by; see [clock.Instant]. It is good for
// the engine that it comes from.
type Instant = clock.Instant

// Value is a credential's value as a reader gets it.
type Value struct {
	Text secret.Text

	// TTL is how long the value is still valid; always positive.
	TTL time.Duration

	// Peg is the credential's, for whoever serves it. It is nil with no Text, and where the
	// credential has gone this moment.
	Peg *Peg
}

// State is where a credential stands.
type State uint8

// States.
const (
	Idle    State = iota // never asked for
	Fresh                // valid
	Stale                // valid, but the last refresh failed
	Expired              // no valid value
	Waiting              // no valid value until WeChat pushes one
	Held                 // no valid value, and not asked for until someone acts or the hold ends
)

var stateNames = [...]string{"idle", "fresh", "stale", "expired", "waiting", "held"}

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
	// TTL is the remaining life; zero where there is no valid value.
	TTL time.Duration
}

// Status is all there is to say of a credential except its value. Zero fields
// mean "none".
type Status struct {
	Listing
	Kind        string
	Parent      string
	FetchedAt   time.Time
	ExpiresAt   time.Time
	NextRefresh time.Time
	// HoldUntil is when WeChat is asked again of itself after a failure; zero
	// where only an event or an operator ends the hold. Held reports that
	// somebody must act before a call can succeed.
	HoldUntil time.Time
	Held      bool
	LastError string
	// Source and Generations are of a grant: where its value came from, and how many of its values
	// are kept, the one in force among them: 5 at most.
	Source      string
	Generations int
	ErrorAt     time.Time
	ErrCode     int
	// Reason and Reaction are what LastError is of, where there is one; Reaction is what ErrCode
	// calls for, and zero where WeChat has said nothing. Derived: it is the parent's trouble.
	Reason   Reason
	Reaction fetchers.Reaction
	Derived  bool
	// Host is the host that its calls go to. The engine knows no hosts: its caller sets Host.
	Host string
	// Address is this host's address as WeChat named it when it refused it.
	Address  string
	Failures int // refreshes that failed since the last one that did not
	// Fingerprint tells two values apart without showing either.
	Fingerprint string
	// Durable is false while a value is served that the disk has refused.
	Durable bool
	// Peg is that of the credential's values; nil for a grant.
	Peg *Peg
}

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

// Reason is why the engine has no value to give. The protocol's error codes
// are the same words.
type Reason uint8

// Internal is the Reason of a fault of tokend's own: its log says more, a peer is told no more.
const Internal Reason = 0

// Reasons.
const (
	NotFound    Reason = iota + 1 // no such credential
	NoTicket                      // no pushed ticket, or it has expired
	Refused                       // WeChat refused; the message begins "errcode="
	Unreachable                   // WeChat could not be reached, or answered nonsense
	Limited                       // a quota of WeChat's, or the guard before it
	Reauth                        // the customer must authorise again
	Busy                          // too much at once
	Stopping                      // the daemon is stopping
	Denied                        // not to be had this way: a grant is write-only
	Unfit                         // what was handed in is not what belongs there
)

var reasonNames = [...]string{"internal", "not_found", "waiting", "upstream", "unavailable", "limited", "reauth", "busy", "shutdown", "denied", "bad_request"}

// String returns a word for r as it stands in a history.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", r)
}

// Never is the RetryAfter of an error that waiting does not mend.
const Never time.Duration = -1

// Error is why a credential cannot be had.
type Error struct {
	Reason Reason

	// RetryAfter is when asking again may help; Never when it will not until
	// someone acts.
	RetryAfter time.Duration

	// Message is fit for a peer: it holds no secret and no newline.
	Message string

	// Err is the cause, for the log; nil where Message says it all.
	Err error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ImportPage is what came of importing one page of a platform's customers.
type ImportPage struct {
	Total int // customers that WeChat lists
	Kept  int // grants of this page that were new or changed
	Next  int // the offset to go on from; zero when this was the last page
}

// Fetcher makes one call for one credential.
type Fetcher interface {
	// Fetch returns what WeChat answers, an *fetchers.APIError where it
	// refuses, or a *fetchers.TransportError. It honours ctx, makes one call and
	// never retries. It is not called twice at once for one credential, but for
	// those that are fetched for each request.
	Fetch(ctx context.Context, ask fetchers.Ask) (fetchers.Token, error)
}

// Store keeps what must outlive the process.
type Store interface {
	// Put makes all of recs durable, or none of them, before it returns. A
	// nil Value deletes. It may be called concurrently, and groups what
	// comes together.
	Put(ctx context.Context, recs ...record.Record) error

	// Get returns the record of a key; its Value is nil where there is none.
	Get(table record.Table, key string) (record.Record, error)

	// GetEach yields what Get returns for each of keys, in their order, at less than the cost of so
	// many. A value is valid until the next step, and not to be changed.
	GetEach(table record.Table, keys []string) iter.Seq2[record.Record, error]

	// All yields every record of a table, in no particular order. A record that
	// cannot be read is yielded with an error, and the iteration goes on. A value
	// is the caller's until the next step.
	All(table record.Table) iter.Seq2[record.Record, error]
}

// Catalog says which credentials there are. It is immutable: a changed
// configuration is another catalog.
type Catalog interface {
	// Lookup returns the spec of name. Its error is an *Error: NotFound for a name
	// that no account of the configuration gives.
	Lookup(name string) (Spec, error)

	// Names yields the names that are known without having been asked for. Those
	// of customers are not among them: they are known by their grants.
	Names() iter.Seq[string]

	// Specs yields what Lookup returns for each of Names, in the same order each time, and those of
	// one Owner one after the other. Nobody changes it.
	Specs() iter.Seq[*Spec]

	// Pushed returns the names among them of tickets that WeChat pushes. They are few, and a start
	// and a reload look for each of them.
	Pushed() []string

	// Dependants returns the names that live by a grant.
	Dependants(grant string) []string

	// Onboarding says how owner takes in customers. Its error is an *Error.
	Onboarding(owner string) (Onboarding, error)
}

// Onboarding is how a platform or a suite takes in customers.
type Onboarding struct {
	// Parent is the credential that the calls are made with.
	Parent string

	// Grant and Token name a customer's grant and the token that may come with it.
	Grant, Token func(child string) string

	Exchanger Exchanger

	// Lister pages through the customers; nil where WeChat has no list. No Spec names a Platform
	// then.
	Lister Lister
}

// Exchanger turns an authorization code into a grant.
type Exchanger interface {
	// Exchange makes one call. Its errors are those of a Fetcher.
	Exchange(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error)
}

// Lister pages through the customers of a platform.
type Lister interface {
	// Page makes one call. Its errors are those of a Fetcher.
	Page(ctx context.Context, parent secret.Text, offset, count int) (fetchers.AuthorizerPage, error)
}

// Spec is how a credential is fetched.
type Spec struct {
	Name string
	Kind Kind

	// Parent is the name of the credential that the call is made with;
	// empty where there is none.
	Parent string

	// Account is whose quota the calls count against: the appid, or corp and
	// app. Owner is who owns the account: the corp of an app, else the
	// account itself. Kinds that share a budget share it by these.
	Account, Owner string

	// PerHour is how many calls an hour there are at most for what is fetched for each request;
	// zero for the default.
	PerHour int

	// Settings is a digest of the configuration that the fetch depends on. A
	// hold is forgotten when it changes.
	Settings string

	// Target is what the fetch is for beyond what Name says; empty where Name says it all. A value
	// of another Target is another credential's and never served.
	Target string

	// Fetcher makes the calls; nil for what is pushed and for grants.
	Fetcher Fetcher

	// Grant is the name of the customer's grant that the call is made with; empty
	// where there is none.
	Grant string

	// Platform and Child are where WeChat lists the customer's grant: in the list of the owner
	// Platform, under Child. Empty where WeChat has no such list.
	Platform, Child string

	// Nudge asks WeChat to push again; nil where it cannot be asked.
	Nudge func(ctx context.Context) error
}
