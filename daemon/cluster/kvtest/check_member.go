package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokend/daemon/cluster"
)

// unanswered sends a request of each method to a member that does not answer. There is a key with
// the prefix k/.
func (x *check) unanswered(l cluster.Lease) {
	x.Helper()
	start := time.Now()
	var all sync.WaitGroup
	for what, request := range map[string]func(ctx context.Context) error{
		"transaction": func(ctx context.Context) error {
			_, err := x.kv.Txn(ctx, cluster.Txn{Then: []cluster.Op{put("unanswered", "1", 0)}})
			return err
		},
		"range": func(ctx context.Context) error {
			_, err := x.kv.Range(ctx, cluster.Range{Prefix: "k/"})
			return err
		},
		"serializable range": func(ctx context.Context) error {
			_, err := x.kv.Range(ctx, cluster.Range{Prefix: "k/", Serializable: true})
			return err
		},
		"lease": func(ctx context.Context) error {
			_, _, err := x.kv.Grant(ctx, time.Minute)
			return err
		},
		"keep-alive": func(ctx context.Context) error {
			_, err := x.kv.KeepAlive(ctx, l)
			return err
		},
		"revocation": func(ctx context.Context) error { return x.kv.Revoke(ctx, l) },
		"watch": func(ctx context.Context) error {
			for _, err := range x.kv.Watch(ctx, "k/", 1) {
				return err
			}
			return nil
		},
	} {
		ctx := x.within(deadline)
		all.Go(func() { x.unknown(what, request(ctx)) })
	}
	all.Wait()
	if took := time.Since(start); took > patience/2 {
		x.Errorf("the requests ended after %v, want %v", took, deadline)
	}
}

// members calls f for each member, with its endpoint, a check with a client of that member and one
// with a client of another.
func (x *check) members(f func(endpoint string, here, there *check)) {
	endpoints := x.Endpoints()
	for i, endpoint := range endpoints {
		other := endpoints[(i+1)%len(endpoints)]
		f(endpoint, x.with(x.Dial(endpoint)), x.with(x.Dial(other)))
	}
}

// resumed returns next with what follows if that watch ends without a leader: the same watch again.
// All changes are of keys with the prefix k/.
func (x *check) resumed(next func() ([]cluster.KeyValue, error), from int64) func() ([]cluster.KeyValue, error) {
	return func() ([]cluster.KeyValue, error) {
		changes, err := next()
		if errors.Is(err, cluster.ErrNoLeader) {
			next = x.follow("k/", from)
			changes, err = next()
		}
		if len(changes) > 0 {
			from = changes[len(changes)-1].Modified + 1
		}
		return changes, err
	}
}

// keepAlive keeps a lease alive for d, also while the leader changes.
func (x *check) keepAlive(l cluster.Lease, d time.Duration) {
	x.Helper()
	for start := time.Now(); ; time.Sleep(d / 5) {
		_, err := x.kv.KeepAlive(x.within(deadline), l)
		took := time.Since(start)
		if err != nil && (cluster.Refused(err) || took > 2*patience) {
			x.Fatalf("keep-alive after %v: %v", took, err)
		}
		if err == nil && took >= d {
			return
		}
	}
}

// checkMembers uses what one member has acknowledged at another, at once.
func checkMembers(x *check) {
	x.members(func(_ string, here, there *check) {
		l, ttl, err := here.kv.Grant(x.within(patience), time.Minute)
		x.must(err)
		for i := range 10 {
			value := fmt.Sprint(i)
			here.putLeased("k/a", value, l)
			if p := there.page(cluster.Range{Prefix: "k/"}); len(p.Keys) != 1 || string(p.Keys[0].Value) != value {
				x.Errorf("range: got %+v, want the value %s", p.Keys, value)
			}
			written := here.put("k/b", value)
			o := there.txn(cluster.Txn{
				If:   []cluster.Compare{{Key: "k/b", Value: written}},
				Then: []cluster.Op{del("k/b")},
			})
			if !o.Held || o.Revision != written+1 {
				x.Errorf("transaction: got %+v, want it applied at %d", o, written+1)
			}
			x.expect(there.follow("k/", written), fmt.Sprintf("k/b=%s@%d", value, written), fmt.Sprintf("k/b@%d", written+1))
		}
		got, err := there.kv.KeepAlive(x.within(patience), l)
		x.must(err)
		if got != ttl {
			x.Errorf("keep-alive: got %v, want %v", got, ttl)
		}
		x.must(there.kv.Revoke(x.within(patience), l))
		here.ended(l)
	})
}

// checkFrozen freezes each member in turn, the leader among them.
func checkFrozen(x *check) {
	l, _, err := x.kv.Grant(x.within(patience), time.Minute)
	x.must(err)
	x.putLeased("m", "1", l)
	x.members(func(endpoint string, frozen, other *check) {
		spare, _, err := frozen.kv.Grant(x.within(patience), time.Minute)
		x.must(err)
		before := frozen.put("k/a", "0")
		next := frozen.follow("k/", before)
		x.expect(next, fmt.Sprintf("k/a=0@%d", before))

		x.Freeze(endpoint)
		frozen.unanswered(spare)
		other.recovers()
		want := []string{fmt.Sprintf("k/a=1@%d", other.put("k/a", "1")), fmt.Sprintf("k/a@%d", other.delete("k/a"))}
		x.expect(other.follow("k/", before+1), want...)
		_, err = other.kv.KeepAlive(x.within(patience), l)
		x.must(err)

		x.Start(endpoint)
		frozen.recovers()
		want = append(want, fmt.Sprintf("k/a=2@%d", frozen.put("k/a", "2")))
		x.expect(frozen.resumed(next, before+1), want...)
		if kv := frozen.get("m"); kv.Lease != l {
			x.Fatalf("%s was frozen: got %+v, want a key with the lease %d", endpoint, kv, l)
		}
	})
}

// checkStopped stops each member in turn, the leader among them.
func checkStopped(x *check) {
	x.members(func(endpoint string, stopped, other *check) {
		spare, _, err := stopped.kv.Grant(x.within(patience), time.Minute)
		x.must(err)
		before := stopped.put("k/a", "0")
		l, ttl := other.grant()
		other.putLeased("m", "1", l)

		x.Stop(endpoint)
		other.keepAlive(l, ttl+ttl/4)
		if kv := other.get("m"); kv.Lease != l {
			x.Fatalf("%s was stopped: got %+v, want a key with the lease %d", endpoint, kv, l)
		}
		other.recovers()
		want := []string{fmt.Sprintf("k/a=1@%d", other.put("k/a", "1")), fmt.Sprintf("k/a@%d", other.delete("k/a"))}
		x.expect(other.follow("k/", before+1), want...)
		stopped.unanswered(spare)

		// A host that gets no answer dials again, so the old client need not recover.
		x.Start(endpoint)
		started := x.with(x.Dial(endpoint))
		started.recovers()
		want = append(want, fmt.Sprintf("k/a=2@%d", started.put("k/a", "2")))
		x.expect(started.follow("k/", before+1), want...)
	})
}

// checkLate repeats a transaction whose client has given up. The first one may still arrive.
func checkLate(x *check) {
	first := x.Endpoints()[0]
	other := x.with(x.Dial(x.Endpoints()[1]))
	before := x.put("k/a", "0")
	next := other.resumed(other.follow("k/", before), before)
	x.expect(next, fmt.Sprintf("k/a=0@%d", before))
	once := cluster.Txn{
		If:   []cluster.Compare{{Key: "k/b", Field: cluster.Version, Value: 0}},
		Then: []cluster.Op{put("k/b", "1", 0)},
	}

	x.Freeze(first)
	_, err := x.kv.Txn(x.within(deadline), cluster.Txn{Then: []cluster.Op{put("k/a", "1", 0)}})
	x.unknown("put", err)
	_, err = x.kv.Txn(x.within(deadline), once)
	x.unknown("transaction", err)
	other.recovers()
	again := other.txn(once)
	if !again.Held {
		x.Errorf("again: got %+v", again)
	}
	x.Start(first)
	x.recovers()
	last := x.put("k/c", "1")

	// The put without a compare is applied or not. The transaction is applied once.
	var got []string
	for want := fmt.Sprintf("k/c=1@%d", last); !slices.Contains(got, want); {
		changes, err := next()
		x.must(err)
		for _, kv := range changes {
			if kv.Key != "k/a" {
				got = append(got, describe(kv))
			} else if string(kv.Value) != "1" {
				x.Errorf("got %s", describe(kv))
			}
		}
	}
	if want := []string{fmt.Sprintf("k/b=1@%d", again.Revision), fmt.Sprintf("k/c=1@%d", last)}; !slices.Equal(got, want) {
		x.Errorf("got %q, want %q", got, want)
	}
}
