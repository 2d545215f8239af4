package cluster

import "time"

// Stats are figures of a host since its start, as STATS names them.
type Stats struct {
	// Connected reports that the host has confirmed within the last 15 s that it has all changes.
	Connected bool

	Members int // hosts in the cluster

	// ConfirmedAge is the time since the host was known to have every change; negative if it never
	// was.
	ConfirmedAge time.Duration

	Revision int64 // that the mirror has reached

	Txns, Conflicts        int64 // transactions; those whose compare failed
	Claims, Waited, Lost   int64 // claims won; not made because of another's; refused
	Takeovers              int64 // claims taken over from another host, or from doubt
	Doubts                 int64 // calls that ended in doubt
	Offers                 int   // changes that etcd does not have yet
	Reloads, WatchRestarts int64 // full loads and comparisons; watches restarted
	Moves                  int   // changes of endpoint
	Sessions               int64
}
