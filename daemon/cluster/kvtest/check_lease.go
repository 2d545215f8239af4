package kvtest

import (
	"time"

	"tokend/daemon/cluster"
)

// ended checks what is left of a lease that has ended.
func (x *check) ended(l cluster.Lease) {
	x.Helper()
	_, err := x.kv.KeepAlive(x.within(patience), l)
	x.refused("keep-alive", err, cluster.ErrNoLease)
	x.refused("revocation", x.kv.Revoke(x.within(patience), l), cluster.ErrNoLease)
	_, err = x.kv.Txn(x.within(patience), cluster.Txn{Then: []cluster.Op{put("k/without", "1", 0), put("k/with", "1", l)}})
	x.refused("put", err, cluster.ErrNoLease)
	if x.get("k/without").Present() {
		x.Errorf("a refused transaction was applied")
	}
	// Only the branch that is applied needs its leases.
	if o := x.txn(cluster.Txn{Then: []cluster.Op{get("k/with")}, Else: []cluster.Op{put("k/with", "1", l)}}); !o.Held {
		x.Errorf("got %+v", o)
	}
}

// checkExpiry lets a lease expire.
func checkExpiry(x *check) {
	start := time.Now()
	l, ttl := x.grant()
	if l == 0 || ttl < time.Second {
		x.Fatalf("got lease %d for %v", l, ttl)
	}
	x.putLeased("k/a", "1", l)
	x.put("k/b", "1")
	_, long, err := x.kv.Grant(x.within(patience), 15*time.Second+time.Millisecond)
	x.must(err)
	if long < 16*time.Second || long%time.Second != 0 {
		x.Errorf("got a lease for %v, want whole seconds, at least 16 of them", long)
	}
	x.gone("k/a", ttl+patience)
	if took := time.Since(start); took < ttl {
		x.Errorf("expired after %v, want at least %v", took, ttl)
	}
	if !x.get("k/b").Present() {
		x.Errorf("a key without a lease has expired")
	}
	x.ended(l)
}

// checkKeepAlive keeps a lease alive for two lives, then lets it expire.
func checkKeepAlive(x *check) {
	l, ttl := x.grant()
	x.putLeased("k/a", "1", l)
	for range 8 {
		time.Sleep(ttl / 4)
		got, err := x.kv.KeepAlive(x.within(patience), l)
		x.must(err)
		if got != ttl {
			x.Errorf("keep-alive: got %v, want the whole life %v", got, ttl)
		}
	}
	last := time.Now()
	if !x.get("k/a").Present() {
		x.Fatalf("the key of a lease that was kept alive has expired")
	}
	x.gone("k/a", ttl+patience)
	if took := time.Since(last); took < ttl-time.Second {
		x.Errorf("expired %v after the last keep-alive, want %v", took, ttl)
	}
	x.ended(l)
}

// checkRevocation revokes a lease.
func checkRevocation(x *check) {
	l, _ := x.grant()
	other, _ := x.grant()
	if l == other {
		x.Fatalf("two leases have the ID %d", l)
	}
	x.putLeased("k/a", "1", l)
	x.putLeased("k/b", "1", l)
	x.putLeased("k/c", "1", other)
	before := x.put("k/d", "1")
	x.must(x.kv.Revoke(x.within(patience), l))
	p := x.page(cluster.Range{Prefix: "k/"})
	if keysOf(p.Keys) != "k/c k/d" || p.Revision != before+1 {
		x.Errorf("got %s at %d, want k/c k/d at %d", keysOf(p.Keys), p.Revision, before+1)
	}
	x.ended(l)
	if _, err := x.kv.KeepAlive(x.within(patience), other); err != nil {
		x.Errorf("the other lease: %v", err)
	}
}

// checkAttachedKeys checks which lease a key is attached to: that of the last put.
func checkAttachedKeys(x *check) {
	first, _ := x.grant()
	second, _ := x.grant()
	for _, key := range []string{"k/stays", "k/moves", "k/leaves", "k/replaced"} {
		x.putLeased(key, "1", first)
	}
	x.putLeased("k/moves", "2", second)
	x.put("k/leaves", "2")
	x.delete("k/replaced")
	x.put("k/replaced", "2")
	x.must(x.kv.Revoke(x.within(patience), first))
	if p := x.page(cluster.Range{Prefix: "k/"}); keysOf(p.Keys) != "k/leaves k/moves k/replaced" || p.Keys[1].Lease != second {
		x.Errorf("the first lease revoked: got %+v", p.Keys)
	}
	x.must(x.kv.Revoke(x.within(patience), second))
	if p := x.page(cluster.Range{Prefix: "k/"}); keysOf(p.Keys) != "k/leaves k/replaced" {
		x.Errorf("the second lease revoked: got %s", keysOf(p.Keys))
	}
}

// checkEpoch checks that a put over a key of an older lease keeps its creation, and that only an
// absent key can be created.
func checkEpoch(x *check) {
	first, _ := x.grant()
	second, _ := x.grant()
	create := func(l cluster.Lease) cluster.Outcome {
		return x.txn(cluster.Txn{
			If:   []cluster.Compare{{Key: "k/m", Field: cluster.Version, Value: 0}},
			Then: []cluster.Op{put("k/m", "1", l)},
			Else: []cluster.Op{get("k/m")},
		})
	}
	o := create(first)
	if !o.Held {
		x.Fatalf("got %+v", o)
	}
	epoch := o.Revision
	if o := create(second); o.Held || o.Got[0].Created != epoch || o.Got[0].Lease != first {
		x.Errorf("present: got %+v, want it as created at %d", o, epoch)
	}
	x.putLeased("k/m", "2", second)
	if kv := x.get("k/m"); kv.Created != epoch || kv.Version != 2 || kv.Lease != second {
		x.Errorf("put over: got %+v, want created at %d", kv, epoch)
	}
	x.must(x.kv.Revoke(x.within(patience), second))
	if o := create(first); !o.Held || x.get("k/m").Created <= epoch {
		x.Errorf("after the lease: got %+v, want another creation than %d", o, epoch)
	}
}
