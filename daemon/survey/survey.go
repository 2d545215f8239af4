package survey

import (
	"time"

	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/store"
)

// Survey is a daemon at one moment. Counters are those since it was started. Whoever gets it may
// keep it, and changes nothing in it.
type Survey struct {
	Version string
	At      time.Time // of the survey
	Began   time.Time // of the daemon
	Loaded  time.Time // when the configuration in force was read
	Loading bool      // what was kept is still being read: not all credentials are known yet

	// Credentials is what the configuration gives, sorted by name; customers' are not among it.
	Credentials []refresh.Status

	// Census may be older than the rest, by seconds with ten thousand customers and by half a
	// minute with more.
	Census refresh.Census
	Quotas []refresh.Quota

	Refreshes refresh.Refreshes
	Endpoints []Endpoint // sorted by path
	Hosts     []Host     // in the order of the configuration
	Pushes    Pushes
	Socket    server.Counts
	Store     store.Stats

	LogDropped int64 // lines of the log
}

// Host is a configured host of WeChat's or WeCom's.
type Host struct {
	API  string // weixin or work, as the configuration calls them
	Name string
	Used bool // calls go to it now
}

// Endpoint is what has come of the calls to one path of WeChat's.
type Endpoint struct {
	Path        string
	OK          int64
	Refused     int64 // answered with an errcode
	Unreachable int64 // not answered, or with nonsense

	Codes   []Code        // of Refused; sorted by errcode
	Took    time.Duration // all calls together
	Buckets [len(Buckets)]int64
}

// Calls returns how many calls there were.
func (e Endpoint) Calls() int64 { return e.OK + e.Refused + e.Unreachable }

// Code is how often WeChat has answered with an errcode; 0 stands for those of which there were too
// many different ones.
type Code struct {
	ErrCode int
	N       int64
}

// Buckets are the bounds by which the time of calls is counted: each has those that took no longer,
// and longer than the one before it. WeChat usually takes 0.1 s, and is given up after 5 unless
// configured otherwise.
var Buckets = [...]time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Pushes is what WeChat has pushed.
type Pushes struct {
	Kinds   []Push // genuine ones; sorted by kind
	Failed  int64  // of these, those that could not be kept
	Refused int64  // malformed, or not signed or addressed as they have to be

	// Previous is those of Kinds that only the previous token or key has opened.
	Previous int64
}

// Push is how many pushes of a kind there were.
type Push struct {
	Kind string
	N    int64
}
