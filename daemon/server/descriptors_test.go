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
	judge := func(uid uint32, free int, want error) admission {
		t.Helper()
		at, err := s.judge(access.Peer{UID: uid}, free, spares, nil)
		if !errors.Is(err, want) {
			t.Errorf("uid %d, %d descriptors free\n got %v\nwant %v", uid, free, err, want)
		}
		return at
	}
	judge(alice, descriptors.Daemon+descriptors.Operators, nil)
	judge(alice, descriptors.Daemon+descriptors.Operators-1, errSpent)
	judge(0, descriptors.Daemon+descriptors.Operators-1, nil)
	if at := judge(0, descriptors.Daemon, nil); at.spares != nil {
		t.Error("an operator uses a spare while there is a descriptor for it")
	}
	var last []admission
	for i := range descriptors.Spares {
		last = append(last, judge(0, descriptors.Daemon-1-i, nil))
		if !spares.Refill() {
			t.Error("there are too few spares")
		}
	}
	judge(0, 1, errSpent)
	judge(alice, 1, errSpent)
	s.leave(last[2], nil)
	s.leave(judge(0, 1, nil), nil)
	for _, at := range last[:2] {
		s.leave(at, nil)
	}
	s.leave(last[3], nil)
	if got := s.open.Load(); got != 3 {
		t.Errorf("%d connections are counted, want 3", got)
	}
}
