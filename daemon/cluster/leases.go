package cluster

import "slices"

// maxLeases is how many leases a host remembers. A host asks for one every [sessionPause] at most,
// so all that have not expired are among them, and those that a restore of etcd brings back.
const maxLeases = 1024

// leases are the last leases that a host was granted, oldest first.
type leases []Lease

// add adds a lease, in place of the oldest one if there are too many.
func (l *leases) add(next Lease) {
	if len(*l) == maxLeases {
		*l = slices.Delete(*l, 0, 1)
	}
	*l = append(*l, next)
}

// has reports whether a lease is one of l.
func (l leases) has(is Lease) bool { return slices.Contains(l, is) }
