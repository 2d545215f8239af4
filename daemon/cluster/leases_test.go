package cluster

import "testing"

// TestLeasesBounded: a host whose sessions end all the time remembers its last leases only.
func TestLeasesBounded(t *testing.T) {
	var l leases
	const n = 10 * maxLeases
	for i := range n {
		l.add(Lease(i + 1))
	}
	if len(l) != maxLeases || cap(l) > 2*maxLeases {
		t.Errorf("remembers %d leases in %d places, want %d", len(l), cap(l), maxLeases)
	}
	for is, want := range map[Lease]bool{n: true, n - maxLeases + 1: true, n - maxLeases: false, 0: false} {
		if l.has(is) != want {
			t.Errorf("lease %d: got %v, want %v", is, !want, want)
		}
	}
}
