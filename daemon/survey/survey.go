package survey

import (
	"iter"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server"
	"tokend/daemon/store"
)

// Survey is a snapshot of a daemon. Counters start at zero when the daemon starts. The receiver may
// keep a Survey but must not modify it.
type Survey struct {
	Version string
	At      time.Time // when the survey was taken
	Began   time.Time // when the daemon started
	Loaded  time.Time // when the current configuration was read
	Loading bool      // the store is still being read: not all credentials are known yet

	// Summaries yields the configured credentials, without customers' credentials. Asked then
	// yields those that have been requested: the others have no times and no failures. EachQuota
	// yields the quotas, with Spent if counted is set. All can be iterated repeatedly. Rest must be
	// called before a wait and after the last iteration.
	Summaries iter.Seq[*credential.Summary]
	Asked     iter.Seq[*credential.Summary]
	EachQuota func(counted bool) iter.Seq[*credential.Quota]
	Rest      func()

	// Named reports that metrics name each credential and account.
	Named bool

	// Census may be older than the rest: by seconds with ten thousand customers, by half a minute
	// with more.
	Census credential.Census

	Refreshes credential.Refreshes
	Durations []credential.Durations // of refreshes, sorted by kind
	Endpoints []credential.Endpoint  // sorted by path
	Hosts     []credential.Host      // in the order of the configuration
	Pushes    Pushes
	Socket    server.Counts
	Store     store.Stats

	LogDropped int64 // log lines dropped

	Backup time.Time // when the last complete backup was sent; zero for never
}

// Pushes counts WeChat's pushes.
type Pushes struct {
	Kinds   []Push // genuine pushes, sorted by kind
	Failed  int64  // pushes of Kinds that could not be stored
	Refused int64  // those that were refused

	// RefusedFor is Refused by cause.
	RefusedFor [credential.RefusalCount]int64

	// Previous is the number of Kinds' pushes that only the previous token or key could open.
	Previous int64
}

// Push counts the pushes of one kind.
type Push struct {
	Kind string
	N    int64
}
