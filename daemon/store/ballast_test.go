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
	if err := s.ballast.ensureSpace(1); err != nil || !s.ballast.whole() {
		t.Errorf("given up without need: %v", err)
	}
	if err := s.ballast.ensureSpace(1 << 62); !errors.Is(err, ErrDiskFull) || s.ballast.size() > 0 {
		t.Errorf("got %v; want ErrDiskFull, and the ballast given up", err)
	}
	free, err := freeSpace(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	// It is not created if that would fill the disk.
	if err := s.ballast.restore(free - ballastSize/2); !errors.Is(err, ErrDiskFull) || s.ballast.size() > 0 {
		t.Errorf("got %v; want ErrDiskFull", err)
	}
	// It is created if the disk is full anyway, and if the disk is far from full.
	for _, reserve := range []uint64{1 << 62, 1} {
		if err := s.ballast.restore(reserve); err != nil || !s.ballast.whole() {
			t.Errorf("reserve %d: %v", reserve, err)
		}
		s.ballast.release()
	}
	s.wake()
	eventually(t, "the keeper makes it again", s.ballast.whole)
}

// TestBallastOfSparseCopy starts on a sparse ballast, as rsync -S creates it.
func TestBallastOfSparseCopy(t *testing.T) {
	c := Config{Dir: newStateDir(t)}
	filled(t, c)
	b := newBallast(c.Dir)
	truncate(t, string(b), 0)
	truncate(t, string(b), ballastSize)
	if !b.sparse() {
		t.Skip("this file system makes no holes")
	}
	newTestStore(t, c)
	if !b.whole() || b.sparse() {
		t.Errorf("whole: %t, sparse: %t; want it allocated", b.whole(), b.sparse())
	}
}

// What the journal takes leaves enough for a start, and is restored.
func TestBallastSpentInPieces(t *testing.T) {
	dir := newStateDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := newBallast(dir)
	if b.spend(openSpace) {
		t.Error("spend failed")
	}
	if err := b.restore(1); err != nil {
		t.Fatal(err)
	}
	pieces := 0
	for b.spend(openSpace) {
		pieces++
	}
	if want := (ballastSize - openSpace) / ballastPiece; pieces != want || b.size() != openSpace {
		t.Errorf("got %d pieces and %d bytes left, want %d and %d", pieces, b.size(), want, openSpace)
	}
	if err := b.restore(1); err != nil || !b.whole() {
		t.Errorf("not restored: %v", err)
	}
}
