package server

import (
	"errors"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/server/descriptors"
)

// TestLastDescriptors checks who is served while few descriptors are free: users are refused first,
// then operators, except for those that use a spare. A connection that ends returns its spare.
func TestLastDescriptors(t *testing.T) {
	s := New(Config{Engine: newFakeEngine()})
	spares := descriptors.NewReserve()
	defer spares.Close()
	decide := func(uid uint32, free int, want error) admission {
		t.Helper()
		at, err := s.decide(access.Peer{UID: uid}, free, spares, nil)
		if !errors.Is(err, want) {
			t.Errorf("uid %d, %d descriptors free\n got %v\nwant %v", uid, free, err, want)
		}
		return at
	}
	decide(alice, descriptors.Daemon+descriptors.Operators, nil)
	decide(alice, descriptors.Daemon+descriptors.Operators-1, errSpent)
	decide(0, descriptors.Daemon+descriptors.Operators-1, nil)
	if at := decide(0, descriptors.Daemon, nil); at.spares != nil {
		t.Error("an operator uses a spare while there is a descriptor for it")
	}
	var last []admission
	for i := range descriptors.Spares {
		last = append(last, decide(0, descriptors.Daemon-1-i, nil))
		if !spares.Refill() {
			t.Error("there are too few spares")
		}
	}
	decide(0, 1, errSpent)
	decide(alice, 1, errSpent)
	s.leave(last[2], nil)
	s.leave(decide(0, 1, nil), nil)
	for _, at := range last[:2] {
		s.leave(at, nil)
	}
	s.leave(last[3], nil)
	if got := s.open.Load(); got != 3 {
		t.Errorf("%d connections are counted, want 3", got)
	}
}
