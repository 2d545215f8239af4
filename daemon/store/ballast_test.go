package store

import (
	"errors"
	"os"
	"testing"
)

func TestBallast(t *testing.T) {
	c := Config{Dir: newStateDir(t)}
	s := newTestStore(t, c)
	info, err := os.Stat(string(s.ballast))
	if err != nil || info.Size() != ballastSize || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %+v, %v", info, err)
	}
	if err := s.ballast.makeRoom(1); err != nil || !s.ballast.there() {
		t.Errorf("given up without need: %v", err)
	}
	if err := s.ballast.makeRoom(1 << 62); !errors.Is(err, ErrDiskFull) || s.ballast.there() {
		t.Errorf("got %v; want ErrDiskFull, and the ballast given up", err)
	}
	free, err := freeSpace(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	// Where it would be what makes the disk full, it is not made.
	if err := s.ballast.restore(free - ballastSize/2); !errors.Is(err, ErrDiskFull) || s.ballast.there() {
		t.Errorf("got %v; want ErrDiskFull", err)
	}
	// Where the disk is full anyway, and where it is far from it, it is.
	for _, reserve := range []uint64{1 << 62, 1} {
		if err := s.ballast.restore(reserve); err != nil || !s.ballast.there() {
			t.Errorf("reserve %d: %v", reserve, err)
		}
		s.ballast.release()
	}
	s.wake()
	eventually(t, "the keeper makes it again", s.ballast.there)
}
