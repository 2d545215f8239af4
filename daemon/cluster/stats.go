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

// connectedFor is how old a confirmation may be for a host to count as connected: one and a half
// heartbeats.
const connectedFor = 15 * time.Second

// Stats returns the figures of h. Before Ready, only those of transactions are known.
func (h *Host) Stats() Stats {
	s := Stats{
		ConfirmedAge: -1,
		Txns:         h.counts.txns.Load(),
		Conflicts:    h.counts.conflicts.Load(),
		Claims:       h.counts.claims.Load(),
		Waited:       h.counts.waited.Load(),
		Lost:         h.counts.lost.Load(),
		Takeovers:    h.counts.takeovers.Load(),
		Doubts:       h.counts.doubts.Load(),
		Moves:        h.cfg.Link.Moves(),
	}
	if !h.isReady() {
		return s
	}
	s.Members, s.Revision, s.Offers, s.Sessions = len(h.members.hosts()), h.mirror.reached(), h.offers.count(), h.sessions.Begun()
	loads, restarts := h.mirror.counts()
	s.Reloads = int64(loads)
	for _, n := range restarts {
		s.WatchRestarts += int64(n)
	}
	if at := h.Confirmed(); at != 0 {
		s.ConfirmedAge = h.cfg.Clock.Now().Sub(at)
		s.Connected = s.ConfirmedAge < connectedFor
	}
	return s
}
