package server

import (
	"errors"
	"math"
	"net"
	"testing"
)

// numbered is a connection of which nothing is known but its descriptor.
type numbered struct {
	net.Conn
	fd int
}

func (n numbered) descriptor() int { return n.fd }

// The last descriptors are not for connections: users are refused first, then operators but for
// those who take a spare's place, and each that ends gives its place back.
func TestLastDescriptors(t *testing.T) {
	p := &peers{}
	s := New(Config{Engine: newFakeEngine(), peer: p.of})
	sp := newSpares()
	defer sp.close()
	const limit = 64
	judge := func(uid uint32, left int) (seat, error) {
		p.next, sp.limit, sp.highest = uid, limit, limit
		return s.judge(numbered{fd: limit - 1 - left}, sp, nil)
	}
	mustJudge := func(uid uint32, left int, want error) seat {
		t.Helper()
		at, err := judge(uid, left)
		if !errors.Is(err, want) {
			t.Errorf("uid %d, %d descriptors left\n got %v\nwant %v", uid, left, err, want)
		}
		return at
	}
	mustJudge(alice, ownFiles+operatorFiles, nil)
	mustJudge(alice, ownFiles+operatorFiles-1, errSpent)
	mustJudge(0, ownFiles+operatorFiles-1, nil)
	if at := mustJudge(0, ownFiles, nil); at.spares != nil {
		t.Error("an operator takes a spare's place while there is a descriptor for it")
	}
	var last []seat
	for i := range spareFiles {
		last = append(last, mustJudge(0, ownFiles-1-i, nil))
		sp.refill()
		if held := len(sp.files) + int(sp.lent.Load()); held != spareFiles {
			t.Errorf("%d spares and places of spares, want %d", held, spareFiles)
		}
	}
	mustJudge(0, 1, errSpent)
	mustJudge(alice, 1, errSpent)
	s.leave(last[2], nil)
	s.leave(mustJudge(0, 1, nil), nil)
	for _, at := range last[:2] {
		s.leave(at, nil)
	}
	s.leave(last[3], nil)
	if sp.refill(); len(sp.files) != spareFiles {
		t.Errorf("%d spares when all have ended, want %d", len(sp.files), spareFiles)
	}
	if got := s.open.Load(); got != 3 {
		t.Errorf("%d connections are counted, want 3", got)
	}
}

// A connection that was accepted since a spare had been given up takes that one's place, and no
// other's.
func TestSpareGivenUpToAccept(t *testing.T) {
	p := &peers{}
	s := New(Config{Engine: newFakeEngine(), peer: p.of})
	sp := newSpares()
	defer sp.close()
	sp.limit, sp.highest = 64, 64
	if !sp.release() {
		t.Fatal("no spare")
	}
	if _, err := s.judge(numbered{fd: 63}, sp, nil); err != nil {
		t.Fatal(err)
	}
	if len(sp.files) != spareFiles-1 || sp.lent.Load() != 1 {
		t.Errorf("%d spares and %d places taken, want %d and 1", len(sp.files), sp.lent.Load(), spareFiles-1)
	}
}

// The limit can be changed while the daemon runs; it is looked at when there are more descriptors
// in use than ever.
func TestLimitIsLookedAtAgain(t *testing.T) {
	sp := &spares{}
	if got, want := sp.left(10), descriptors()-11; got != want {
		t.Errorf("left\n got %d\nwant %d", got, want)
	}
	sp.limit = 20
	if got := sp.left(10); got != 9 {
		t.Errorf("no more than before\n got %d\nwant 9", got)
	}
	if got, want := sp.left(11), descriptors()-12; got != want {
		t.Errorf("more than before\n got %d\nwant %d", got, want)
	}
	if got := sp.left(-1); got != math.MaxInt {
		t.Errorf("of what is no descriptor: got %d", got)
	}
}
