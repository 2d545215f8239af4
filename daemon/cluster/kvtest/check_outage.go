package kvtest

import (
	"fmt"
	"time"

	"tokend/daemon/cluster"
)

// recovers waits until etcd applies a transaction again.
func (x *check) recovers() {
	x.Helper()
	start := time.Now()
	for {
		_, err := x.kv.Txn(x.within(4*deadline), cluster.Txn{Then: []cluster.Op{put("recovered", "1", 0)}})
		if err == nil {
			return
		}
		if time.Since(start) > 2*patience {
			x.Fatalf("no transaction for %v: %v", 2*patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// checkNoQuorum sends requests while there is no quorum.
func checkNoQuorum(x *check) {
	before := x.put("k/a", "1")
	x.StopQuorum()
	_, err := x.kv.Txn(x.within(deadline), cluster.Txn{Then: []cluster.Op{put("k/a", "2", 0)}})
	x.unknown("put", err)
	_, err = x.kv.Range(x.within(deadline), cluster.Range{Prefix: "k/"})
	x.unknown("range", err)
	_, _, err = x.kv.Grant(x.within(deadline), time.Minute)
	x.unknown("lease", err)
	p := x.page(cluster.Range{Prefix: "k/", Revision: before, Serializable: true})
	if len(p.Keys) != 1 || string(p.Keys[0].Value) != "1" {
		x.Errorf("serializable range: got %+v", p.Keys)
	}
	x.StartQuorum()
	x.recovers()
	// The put without an answer may be applied or not.
	if kv := x.get("k/a"); string(kv.Value) != "1" && string(kv.Value) != "2" {
		x.Errorf("got %s", describe(kv))
	}
}

// checkLeasesNoQuorum loses the quorum for longer than the life of two leases. One of them is kept
// alive afterwards.
func checkLeasesNoQuorum(x *check) {
	l, ttl := x.grant()
	other, _ := x.grant()
	x.putLeased("k/a", "1", l)
	x.putLeased("k/b", "1", other)
	x.StopQuorum()
	time.Sleep(2 * ttl) // at first, a leader that does not know yet answers keep-alives
	_, err := x.kv.KeepAlive(x.within(deadline), l)
	if err == nil || cluster.Refused(err) {
		x.Errorf("keep-alive: got %v, want an unknown outcome", err)
	}
	x.StartQuorum()
	x.recovers()
	time.Sleep(ttl / 4) // a new leader gives every lease its whole life
	if p := x.page(cluster.Range{Prefix: "k/"}); keysOf(p.Keys) != "k/a k/b" {
		x.Fatalf("a lease expired while there was no quorum, or at once after it: got %s", keysOf(p.Keys))
	}
	_, err = x.kv.KeepAlive(x.within(patience), l)
	x.must(err)
	x.gone("k/a", ttl+patience)
	x.gone("k/b", ttl+patience)
}

// checkNoSpace sends requests while etcd's database is full.
func checkNoSpace(x *check) {
	l, _, err := x.kv.Grant(x.within(patience), time.Minute)
	x.must(err)
	x.putLeased("k/a", "1", l)
	x.put("k/b", "1")
	before := x.put("k/c", "1")
	next := x.follow("k/", before+1)
	x.Fill()

	absent := cluster.Compare{Key: "k/never", Field: cluster.Version, Value: 0}
	for what, t := range map[string]cluster.Txn{
		"put":                      {Then: []cluster.Op{put("k/d", "1", 0)}},
		"put over":                 {Then: []cluster.Op{put("k/b", "2", 0)}},
		"put and delete":           {If: []cluster.Compare{absent}, Then: []cluster.Op{put("k/d", "1", 0), del("k/b")}},
		"put in the other branch":  {If: []cluster.Compare{absent}, Then: []cluster.Op{del("k/b")}, Else: []cluster.Op{put("k/d", "1", 0)}},
		"put when a compare fails": {If: []cluster.Compare{{Key: "k/b", Field: cluster.Version}}, Then: []cluster.Op{put("k/d", "1", 0)}},
	} {
		_, err := x.kv.Txn(x.within(patience), t)
		x.refused(what, err, cluster.ErrNoSpace)
	}
	_, _, err = x.kv.Grant(x.within(patience), time.Minute)
	x.refused("lease", err, cluster.ErrNoSpace)

	if kv := x.get("k/b"); string(kv.Value) != "1" || kv.Version != 1 {
		x.Errorf("read: got %s", describe(kv))
	}
	if p := x.page(cluster.Range{Prefix: "k/"}); keysOf(p.Keys) != "k/a k/b k/c" {
		x.Errorf("range: got %s", keysOf(p.Keys))
	}
	_, err = x.kv.KeepAlive(x.within(patience), l)
	x.must(err)
	deleted := x.delete("k/b")
	if o := x.txn(cluster.Txn{If: []cluster.Compare{absent}, Then: []cluster.Op{del("k/c")}, Else: []cluster.Op{get("k/c")}}); !o.Held {
		x.Errorf("transaction without a put: got %+v", o)
	}
	x.must(x.kv.Revoke(x.within(patience), l))
	// etcd makes its own changes to fill up, so only the order is known.
	var got []string
	for len(got) < 3 {
		changes, err := next()
		x.must(err)
		for _, kv := range changes {
			got = append(got, kv.Key)
			if kv.Present() || kv.Modified < deleted {
				x.Errorf("watch: got %s", describe(kv))
			}
		}
	}
	if want := "[k/b k/c k/a]"; fmt.Sprint(got) != want {
		x.Errorf("watch: got %v, want %s", got, want)
	}

	x.Free()
	x.recovers()
	x.put("k/d", "1")
	x.grant()
}

// checkClosed closes a client under a watch and a request, and uses it afterwards.
func checkClosed(x *check) {
	now := x.put("k/a", "1")
	kv := x.Dial(x.Endpoints()[0])
	txn := cluster.Txn{Then: []cluster.Op{put("k/a", "2", 0)}}
	watch, request := make(chan error, 1), make(chan error, 1)
	go func() {
		var last error
		for _, err := range kv.Watch(x.Context(), "k/", now+1) {
			last = err
		}
		watch <- last
	}()
	time.Sleep(begun)
	x.StopQuorum()
	go func() {
		_, err := kv.Txn(x.within(patience), txn)
		request <- err
	}()
	time.Sleep(begun)
	start := time.Now()
	x.must(kv.Close())
	x.unknown("watch", <-watch)
	x.unknown("request", <-request)
	if took := time.Since(start); took > patience/2 {
		x.Errorf("ended %v after the close", took)
	}
	x.StartQuorum()
	x.recovers()
	// The request may be applied. What follows is not sent.
	x.put("k/a", "3")
	_, err := kv.Txn(x.within(patience), txn)
	x.unknown("transaction", err)
	for _, err := range kv.Watch(x.within(patience), "k/", now) {
		x.unknown("new watch", err)
	}
	if got := x.get("k/a"); string(got.Value) != "3" {
		x.Errorf("got %s, want the change of the closed client not applied", describe(got))
	}
}

// checkRestore restores a backup under a client and its watch.
func checkRestore(x *check) {
	l, ttl := x.grant()
	x.put("k/a", "1")
	x.putLeased("k/m", "1", l)
	kept := x.page(cluster.Range{Prefix: "k/"})
	restore := x.Backup()
	lost, _, err := x.kv.Grant(x.within(patience), time.Minute)
	x.must(err)
	x.put("k/a", "2")
	for i := range 50 { // more changes than the recovery makes
		x.put("k/b", fmt.Sprint(i))
	}
	before := x.page(cluster.Range{Prefix: "k/"})
	old := x.follow("k/", before.Revision)
	x.expect(old, fmt.Sprintf("k/b=49@%d", before.Revision))

	restore()
	// etcd may not answer requests with an auth token from before the restore. A host that gets no
	// answer dials again.
	x = x.with(x.Dial(x.Endpoints()[0]))
	x.recovers()
	_, err = x.kv.KeepAlive(x.within(patience), l)
	x.must(err)
	_, err = x.kv.KeepAlive(x.within(patience), lost)
	x.refused("keep-alive of a later lease", err, cluster.ErrNoLease)
	got := x.page(cluster.Range{Prefix: "k/"})
	if len(got.Keys) != 2 || fmt.Sprint(got.Keys) != fmt.Sprint(kept.Keys) {
		x.Errorf("got %+v, want %+v as in the backup", got.Keys, kept.Keys)
	}
	if got.Revision <= kept.Revision || got.Revision >= before.Revision {
		x.Errorf("got revision %d, want it after %d and before %d", got.Revision, kept.Revision, before.Revision)
	}
	for _, endpoint := range x.Endpoints() {
		member := x.with(x.Dial(endpoint))
		member.recovers()
		if p := member.page(cluster.Range{Prefix: "k/"}); p.Cluster != got.Cluster {
			x.Errorf("%s: got cluster %d, want %d", endpoint, p.Cluster, got.Cluster)
		}
	}
	for _, serializable := range []bool{false, true} {
		_, err = x.kv.Range(x.within(patience), cluster.Range{Prefix: "k/", Revision: before.Revision, Serializable: serializable})
		x.refused("range at a lost revision", err, cluster.ErrFuture)
	}
	x.gone("k/m", ttl+patience)

	// A watch is silent until etcd reaches its revision. One from before the restore may end, or
	// stay silent.
	fresh := x.follow("k/", before.Revision+1)
	reached := x.put("k/c", "1")
	for reached <= before.Revision {
		reached = x.put("k/c", "1")
	}
	want := fmt.Sprintf("k/c=1@%d", reached)
	x.expect(fresh, want)
	if changes, err := old(); err == nil && describe(changes[0]) != want {
		x.Errorf("old watch: got %+v, want %s", changes, want)
	}
}
