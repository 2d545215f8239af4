package kvtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/daemon/cluster"
)

// checkWatch watches from the next revision.
func checkWatch(x *check) {
	l, _ := x.grant()
	next := x.follow("k/", x.put("k/a", "0")+1)
	x.put("k0", "1")
	x.put("j", "1")
	first := x.txn(cluster.Txn{Then: []cluster.Op{put("k/b", "1", l), put("j", "2", 0), del("k/a"), put("k/c", "1", 0)}}).Revision
	changes, err := next()
	x.must(err)
	var got []string
	for _, kv := range changes {
		got = append(got, describe(kv))
	}
	if got, want := fmt.Sprint(got), fmt.Sprintf("[k/b=1@%d k/a@%[1]d k/c=1@%[1]d]", first); got != want {
		x.Fatalf("got %s, want %s: one revision, in the order of the operations", got, want)
	}
	if b := changes[0]; b.Created != first || b.Version != 1 || b.Lease != l {
		x.Errorf("put: got %+v", b)
	}
	if a := changes[1]; a.Present() || a.Created != 0 || a.Lease != 0 || len(a.Value) != 0 {
		x.Errorf("deletion: got %+v", a)
	}
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("k/b=%d@%d", i, x.put("k/b", fmt.Sprint(i))))
	}
	x.expect(next, want...)
	if kv := x.get("k/b"); kv.Version != 51 || kv.Created != first {
		x.Errorf("got %+v", kv)
	}
}

// checkWatchPast watches from a revision that has passed.
func checkWatchPast(x *check) {
	var want []string
	first := x.put("k/a", "0")
	want = append(want, fmt.Sprintf("k/a=0@%d", first))
	want = append(want, fmt.Sprintf("k/a@%d", x.delete("k/a")))
	for i := range 20 {
		want = append(want, fmt.Sprintf("k/a=%d@%d", i, x.put("k/a", fmt.Sprint(i))))
	}
	next := x.follow("k/", first)
	x.expect(next, want...)
	want = append(want, fmt.Sprintf("k/b=1@%d", x.put("k/b", "1")))
	x.expect(next, want[len(want)-1])
	x.expect(x.follow("k/", first+2), want[2:]...)
}

// checkWatchFuture watches from a revision that has not been reached. Nothing is yielded before.
func checkWatchFuture(x *check) {
	now := x.put("k/a", "0")
	next := x.follow("k/", now+3)
	x.put("k/a", "1")
	x.put("k/a", "2")
	x.expect(next, fmt.Sprintf("k/a=3@%d", x.put("k/a", "3")), fmt.Sprintf("k/a=4@%d", x.put("k/a", "4")))
}

// checkWatchLeased watches keys whose lease expires. They are deleted at one revision.
func checkWatchLeased(x *check) {
	l, _ := x.grant()
	before := x.put("k/c", "1")
	x.putLeased("k/b", "1", l)
	x.putLeased("k/a", "1", l)
	next := x.follow("k/", before+1)
	x.expect(next,
		fmt.Sprintf("k/b=1@%d", before+1), fmt.Sprintf("k/a=1@%d", before+2),
		fmt.Sprintf("k/a@%d", before+3), fmt.Sprintf("k/b@%d", before+3))
}

// checkWatchEnded ends watches by their context and by their reader.
func checkWatchEnded(x *check) {
	now := x.put("k/a", "1")
	n := 0
	for changes, err := range x.kv.Watch(x.within(deadline), "k/", now) {
		switch n++; {
		case n == 1 && err == nil && len(changes) == 1:
		case n == 2 && errors.Is(err, context.DeadlineExceeded):
			x.unknown("deadline", err)
		default:
			x.Fatalf("batch %d: got %v, %v", n, changes, err)
		}
	}
	if n != 2 {
		x.Errorf("got %d batches, want the change and the end", n)
	}
	for range x.kv.Watch(x.within(patience), "k/", now) {
		break
	}
}

// checkCompactionWatched compacts what a watch has yielded already.
func checkCompactionWatched(x *check) {
	next := x.follow("k/", x.put("j", "1")+1)
	x.expect(next, fmt.Sprintf("k/a=1@%d", x.put("k/a", "1")), fmt.Sprintf("k/a=2@%d", x.put("k/a", "2")))
	x.must(x.Compact(x.get("k/a").Modified))
	x.expect(next, fmt.Sprintf("k/a=3@%d", x.put("k/a", "3")))
}

// checkWatchNoQuorum watches while there is no quorum.
func checkWatchNoQuorum(x *check) {
	now := x.put("k/a", "1")
	next := x.follow("k/", now)
	x.expect(next, fmt.Sprintf("k/a=1@%d", now))
	x.StopQuorum()
	if _, err := next(); !errors.Is(err, cluster.ErrNoLeader) {
		x.Fatalf("got %v, want %v", err, cluster.ErrNoLeader)
	}
	again := time.Now()
	if _, err := x.follow("k/", now)(); !errors.Is(err, cluster.ErrNoLeader) {
		x.Errorf("again: got %v, want %v", err, cluster.ErrNoLeader)
	}
	if took := time.Since(again); took > 2*time.Second {
		x.Errorf("again: ended after %v, want at once", took)
	}
	x.StartQuorum()
	x.recovers()
	x.expect(x.follow("k/", now), fmt.Sprintf("k/a=1@%d", now), fmt.Sprintf("k/a=2@%d", x.put("k/a", "2")))
}
