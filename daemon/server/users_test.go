package server

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Root's connections take no place, the daemon's own user's neither, and each that ends gives
// its own back, to the last.
func TestConnectionsAreGivenBack(t *testing.T) {
	us := &users{self: 990}
	r := rand.New(rand.NewPCG(1, 2))
	var open []*user
	for range 20_000 {
		if len(open) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(open))
			us.leave(open[i], nil)
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
			continue
		}
		uid := []uint32{0, 990, 1, 2, 3, 4}[r.IntN(6)]
		u, _, ok := us.enter(uid, 10, nil)
		if ok {
			open = append(open, u)
		} else if u.operator {
			t.Fatalf("uid %d is turned away", uid)
		}
		if us.open > 10 {
			t.Fatalf("%d connections are counted, want at most 10", us.open)
		}
	}
	for _, u := range open {
		us.leave(u, nil)
	}
	if us.open != 0 {
		t.Errorf("%d connections are counted when all are closed", us.open)
	}
	for uid, u := range us.all {
		if u.conns != 0 {
			t.Errorf("uid %d: %d connections are counted when all are closed", uid, u.conns)
		}
	}
}

// Whatever others have filled the socket with, a user without a connection gets one.
func TestLastPlaces(t *testing.T) {
	for _, limit := range []int{750, 8192} {
		us := &users{self: 990}
		for uid := range uint32(26) { // one after the other
			for range limit {
				us.enter(uid, limit, nil)
			}
		}
		if alone := us.get(0).conns; alone < limit*4/10 {
			t.Errorf("%d places: a user alone gets %d", limit, alone)
		}
		served := 0
		for uid := range uint32(20) {
			if u, _, ok := us.enter(100+uid, limit, nil); ok {
				served++
				us.leave(u, nil)
			}
		}
		if served != 20 {
			t.Errorf("%d places: %d of 20 newcomers are served", limit, served)
		}
		if us.open > limit {
			t.Errorf("%d of %d places are taken", us.open, limit)
		}
	}
}

// Whatever is taken and allowed, a bucket gives out no more than its burst and what has refilled
// since, and all of that.
func TestBucket(t *testing.T) {
	r := rate{each: 10 * time.Millisecond, burst: 50}
	random := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var b bucket
		now, given := epoch, 0
		for range 1000 {
			now += time.Duration(random.IntN(20)) * time.Millisecond
			if b.allow(now, r) {
				given++
			}
			if most := r.burst + int((now-epoch)/r.each); given > most {
				t.Fatalf("%d given out in %s, want at most %d", given, now-epoch, most)
			}
		}
		if least := int((now - epoch) / r.each); given < min(least, 1000)-1 {
			t.Fatalf("%d given out in %s, want at least %d", given, now-epoch, least)
		}
	}
	var b bucket
	if d := b.take(epoch, r, 50); d != 0 {
		t.Errorf("a full bucket's worth takes %s, want no time", d)
	}
	if d := b.take(epoch, r, 10); d != 100*time.Millisecond {
		t.Errorf("ten more take %s, want 100ms", d)
	}
	b.giveBack(r, 10)
	if d := b.take(epoch+10*time.Millisecond, r, 1); d != 0 {
		t.Errorf("after giving back: %s, want no time", d)
	}
	if d := b.take(epoch+time.Hour, r, 50); d != 0 {
		t.Errorf("after an hour: %s, want no time", d)
	}
	if b.allow(epoch+time.Hour, r) {
		t.Error("an hour has filled it beyond its burst")
	}
}

// One who has a range of subordinate uids is many users; what is kept of them is bounded, and what
// they have done is not forgotten.
func TestManyUsers(t *testing.T) {
	us := &users{self: 990}
	held, _, _ := us.enter(1, 1<<20, nil)
	held.stats.reads.Add(1)
	const n = 65_536
	most := 0
	for uid := range uint32(n) {
		u, _, ok := us.enter(100_000+uid, 1<<20, nil)
		if !ok {
			t.Fatal("turned away")
		}
		u.stats.reads.Add(1)
		us.leave(u, nil)
		most = max(most, len(us.all))
	}
	if most > 2*fewUsers {
		t.Errorf("%d users are remembered, want at most %d", most, 2*fewUsers)
	}
	if us.get(1) != held {
		t.Error("one who is connected has been forgotten")
	}
	if total := us.total(); total.reads.Load() != n+1 || total.connections.Load() != n+1 {
		t.Errorf("%d reads on %d connections are counted, want %d", total.reads.Load(), total.connections.Load(), n+1)
	}
}
