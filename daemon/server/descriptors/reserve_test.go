package descriptors

import (
	"math"
	"testing"
)

// TestSpareReleasedToAccept checks that a connection that was accepted after a spare was released
// takes that spare, and not another.
func TestSpareReleasedToAccept(t *testing.T) {
	r := NewReserve()
	defer r.Close()
	if !r.Release() {
		t.Fatal("no spare")
	}
	if !r.Lend() {
		t.Fatal("no spare is lent")
	}
	if len(r.held) != Spares-1 || r.lent.Load() != 1 {
		t.Errorf("%d spares and %d lent, want %d and 1", len(r.held), r.lent.Load(), Spares-1)
	}
}

func TestSparesLent(t *testing.T) {
	r := NewReserve()
	defer r.Close()
	for i := range Spares {
		if !r.Lend() {
			t.Fatalf("the spare at %d is not lent", i)
		}
		r.Refill()
		if held := len(r.held) + int(r.lent.Load()); held != Spares {
			t.Errorf("%d spares, lent ones among them, want %d", held, Spares)
		}
	}
	if r.Lend() {
		t.Error("more spares are lent than there are")
	}
	for range Spares {
		r.Return()
	}
	if !r.Refill() || len(r.held) != Spares {
		t.Errorf("%d spares when all are returned, want %d", len(r.held), Spares)
	}
}

// TestLimitChanges checks that the limit is read again when more descriptors are in use than
// before: it can be changed while the daemon runs.
func TestLimitChanges(t *testing.T) {
	r := &Reserve{}
	if got, want := r.Free(10), Limit()-11; got != want {
		t.Errorf("free\n got %d\nwant %d", got, want)
	}
	r.limit = 20
	if got := r.Free(10); got != 9 {
		t.Errorf("no more than before\n got %d\nwant 9", got)
	}
	if got, want := r.Free(11), Limit()-12; got != want {
		t.Errorf("more than before\n got %d\nwant %d", got, want)
	}
	if got := r.Free(-1); got != math.MaxInt {
		t.Errorf("no descriptor: got %d", got)
	}
}

func TestRoom(t *testing.T) {
	if got := Room(10); got != 10 {
		t.Errorf("room for 10\n got %d\nwant 10", got)
	}
	if got := Room(math.MaxInt); got == math.MaxInt || got < 1 {
		t.Errorf("room for any number: got %d", got)
	}
}
