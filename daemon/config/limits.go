package config

import "time"

// Limits are tokend's own limits. All of them are positive but IdleTimeout.
type Limits struct {
	// MaxConnections is how many connections may be open at once.
	MaxConnections int

	// RequestsPerSecond is how many requests of one user are answered in a second.
	RequestsPerSecond int

	// WaitingRequests is how many requests of one user may wait at once.
	WaitingRequests int

	// IdleTimeout closes a connection on which nothing has been asked for so long; zero for never.
	IdleTimeout time.Duration

	// UpstreamCalls is how many calls are in flight to one of WeChat's hosts, at least 2.
	UpstreamCalls int

	// PreAuthCodesPerHour is how many calls an hour there are at most for the pre_auth_code of one
	// platform or suite.
	PreAuthCodesPerHour int
}

// The bounds of the limits.
const (
	// mostConnections is how many descriptors a process has at most, unless fs.nr_open was raised.
	mostConnections = 1 << 20

	// mostRequests is more than one event loop answers, pipelined.
	mostRequests = 10_000_000

	// mostWaiting is mostConnections, as one request of a connection waits.
	mostWaiting = mostConnections

	// leastIdle is the shortest pause between two requests after which a client may lose its
	// connection: a shorter one would cost busy clients a connection for each request. What is idle
	// for longer than mostIdle is not missed.
	leastIdle, mostIdle = time.Second, 24 * time.Hour

	// leastCalls leaves a call to the others when those of one account or platform hang, which has
	// half of the calls. Each call has a connection of its own, of which mostCalls are more than
	// WeChat answers at once: WeCom refuses with errcode 45033 before.
	leastCalls, mostCalls = 2, 256

	// mostPreAuthCodes is 280 calls a second, more than the four that are in flight at most can be.
	mostPreAuthCodes = 1_000_000
)

func (t *table) limits() Limits {
	l := t.table("limits")
	if l == nil {
		l = &table{reader: t.reader}
	}
	defer l.done()
	return Limits{
		MaxConnections:      l.count("max_connections", 8192, 1, mostConnections),
		RequestsPerSecond:   l.count("requests_per_second", 100_000, 1, mostRequests),
		WaitingRequests:     l.count("waiting_requests", 1024, 1, mostWaiting),
		IdleTimeout:         l.timeout("idle_timeout", leastIdle, mostIdle),
		UpstreamCalls:       l.count("upstream_calls", 32, leastCalls, mostCalls),
		PreAuthCodesPerHour: l.count("pre_auth_codes_per_hour", 600, 1, mostPreAuthCodes),
	}
}
