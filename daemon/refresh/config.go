package refresh

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/throttle"
)

// Config is what an engine needs. Store and Catalog are required.
type Config struct {
	Store   Store
	Catalog Catalog

	// Logger receives what happens; nil for nothing.
	Logger hclog.Logger

	// Boottime is the time since boot, suspend included; nil for Go's monotonic
	// clock. Boot names the boot that it counts from; with an empty one the
	// moments of an earlier run are taken from the wall clock.
	Boottime func() time.Duration
	Boot     string

	// Calls is how many calls are in flight at most to each of WeChat's two hosts, those that readers
	// wait for included; zero for 32. The schedule has 8 of them, and up to three quarters of Calls
	// where these do not reach the rate that is needed. One owner has half of Calls at most.
	Calls int

	// Timeout bounds one call, should a fetcher not do so itself; zero for 30 s.
	Timeout time.Duration

	// Throttle delays walks through all credentials; nil for not at all.
	Throttle *throttle.Budget

	// Ahead makes New return before what the store has kept is loaded: Run loads it. Until that is
	// done Get serves what can be told to be in force from its own record, and everything else
	// waits. Without it New loads.
	Ahead bool

	atFirst int // for tests: how many calls the schedule has at first; zero for 8
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
