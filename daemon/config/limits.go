package config

import "time"

// Limits are tokend's own limits. All are positive, except that IdleTimeout may be zero.
type Limits struct {
	// MaxConnections is the number of connections that may be open at once.
	MaxConnections int

	// RequestsPerSecond is the rate of requests per user.
	RequestsPerSecond int

	// WaitingRequests is the number of requests of one user that may wait at once.
	WaitingRequests int

	// IdleTimeout is the time without a request after which a connection is closed; zero for never.
	IdleTimeout time.Duration

	// UpstreamCalls is the number of concurrent calls to one host of WeChat; at least 2.
	UpstreamCalls int

	// PreAuthCodesPerHour is the number of calls per hour for the pre_auth_code of one platform or
	// suite.
	PreAuthCodesPerHour int
}

// The bounds of the limits.
const (
	// mostConnections is the kernel's default limit of descriptors per process (fs.nr_open).
	mostConnections = 1 << 20

	// mostRequests is more than one event loop can answer, even pipelined.
	mostRequests = 10_000_000

	// mostWaiting equals mostConnections because a connection has one waiting request at most.
	mostWaiting = mostConnections

	// A timeout below leastIdle would make busy clients reconnect for each request. A connection
	// that is idle for mostIdle is not used anymore.
	leastIdle, mostIdle = time.Second, 24 * time.Hour

	// leastCalls is 2 because calls for one account or platform may take up half of the calls when
	// they hang. Each call has its own connection. mostCalls exceeds the concurrency that WeChat
	// allows: WeCom refuses earlier, with errcode 45033.
	leastCalls, mostCalls = 2, 256

	// mostPreAuthCodes is 280 calls per second, more than four concurrent calls can reach.
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
