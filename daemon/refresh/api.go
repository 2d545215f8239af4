package refresh

import (
	"context"
	"iter"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/clock"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/daemon/throttle"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// Instant is a moment of the clock that lives are measured by; see [clock.Instant]. It is good for
// the engine that it comes from.
type Instant = clock.Instant

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
	// cannot be read is yielded with an error, and the iteration continues. A value
	// is the caller's until the next step.
	All(table record.Table) iter.Seq2[record.Record, error]
}

// Catalog says which credentials there are. It is immutable: a changed
// configuration is another catalog.
type Catalog interface {
	// Lookup returns the spec of name. Its error is a *credential.Error: NotFound for a name
	// that no account of the configuration gives.
	Lookup(name string) (Spec, error)

	// Names yields the names that are known without having been asked for. Those
	// of customers are not among them: they are known by their grants.
	Names() iter.Seq[string]

	// Specs yields what Lookup returns for each of Names, in the same order each time, and those of
	// one Owner one after the other. It is valid until the next step. Nobody changes it.
	Specs() iter.Seq[*Spec]

	// Pushed returns the names among them of tickets that WeChat pushes. They are few, and a start
	// and a reload look for each of them.
	Pushed() []string

	// Dependants returns the names that live by a grant.
	Dependants(grant string) []string

	// Onboarding says how owner takes in customers. Its error is a *credential.Error.
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

	// Policy is how it is refreshed. All credentials of a kind have the same one.
	Policy *policy.Policy

	// Host is where its calls go: an index of [Config].Hosts.
	Host int

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

// Config is what an engine needs. Store and Catalog are required.
type Config struct {
	Store   Store
	Catalog Catalog

	// Hosts are what the specs of Catalog refer to by number; none stands for one without limits.
	Hosts []policy.Host

	// Logger receives what happens; nil for nothing.
	Logger hclog.Logger

	// Boottime is the time since boot, suspend included; nil for Go's monotonic
	// clock. Boot names the boot that it counts from; with an empty one the
	// moments of an earlier run are taken from the wall clock.
	Boottime func() time.Duration
	Boot     string

	// Wall is the wall clock; nil for time.Now.
	Wall func() time.Time

	// Peers are the other hosts that serve the same accounts; nil for none. Boot then names this
	// host too, and Boottime is not nil.
	Peers Peers

	// Calls is how many calls are in flight at most to each of Hosts, those that readers
	// wait for included; zero for 32. The schedule has 8 of them, and up to three quarters of Calls
	// where these do not reach the rate that is needed. One owner has half of Calls at most.
	Calls int

	// Timeout bounds one call, should a fetcher not do so itself; zero for 30 s.
	Timeout time.Duration

	// Throttle delays walks through all credentials; nil for not at all.
	Throttle *throttle.Budget

	// Ahead makes New return before what the store has kept is loaded: Run loads it. Until that is
	// done Get serves what is certainly in force by its own record, and everything else
	// waits. Without it New loads.
	Ahead bool

	atFirst int // for tests: how many calls the schedule has at first; zero for 8
}

func (c *Config) hosts() []policy.Host {
	if len(c.Hosts) == 0 {
		return make([]policy.Host, 1)
	}
	return c.Hosts
}

func (c *Config) workers() int { return min(orDefault(c.atFirst, 8), c.calls()) }

func (c *Config) scheduled() int { return max(c.workers(), 3*c.calls()/4) }

func (c *Config) calls() int { return orDefault(c.Calls, 32) }

func (c *Config) timeout() time.Duration { return orDefault(c.Timeout, 30*time.Second) }

func orDefault[T int | time.Duration](v, zero T) T {
	if v == 0 {
		return zero
	}
	return v
}

// day is the window of a quota that WeChat counts by the day.
const day = quota.Day
