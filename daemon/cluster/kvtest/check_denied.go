package kvtest

import (
	"fmt"

	"tokend/daemon/cluster"
)

// checkDenied uses keys with and without the prefix to which the rights of a user are limited.
func checkDenied(x *check) {
	before := x.put("j/a", "1")
	y := x.with(x.DialLimited("k/"))
	l, ttl := y.grant()
	y.putLeased("k/a", "1", l)
	next := y.follow("k/", before+1)
	x.expect(next, fmt.Sprintf("k/a=1@%d", before+1))
	o := y.txn(cluster.Txn{
		If:   []cluster.Compare{{Key: "k/a", Field: cluster.Version, Value: 1}, {Key: "k/b"}},
		Then: []cluster.Op{put("k/b", "1", 0), del("k/c"), get("k/a")},
		Else: []cluster.Op{get("k/b")},
	})
	if !o.Held || string(o.Got[0].Value) != "1" {
		x.Errorf("transaction: got %+v", o)
	}
	got, err := y.kv.KeepAlive(x.within(patience), l)
	x.must(err)
	if got != ttl {
		x.Errorf("keep-alive: got %v, want %v", got, ttl)
	}
	x.must(y.kv.Revoke(x.within(patience), l))
	x.expect(next, fmt.Sprintf("k/b=1@%d", before+2), fmt.Sprintf("k/a@%d", before+3))
	for _, r := range []cluster.Range{
		{Prefix: "k/"}, {Prefix: "k/b"}, {Prefix: "k/", After: "k/a", Limit: 1},
		{Prefix: "k/", Revision: o.Revision + 1, Serializable: true},
	} {
		if p := y.page(r); keysOf(p.Keys) != "k/b" || p.Revision != o.Revision+1 {
			x.Errorf("range %+v: got %+v", r, p)
		}
	}

	absent := cluster.Compare{Key: "k/never"}
	for what, t := range map[string]cluster.Txn{
		"put":                 {Then: []cluster.Op{put("j/b", "1", 0)}},
		"put over":            {Then: []cluster.Op{put("j/a", "2", 0)}},
		"deletion":            {Then: []cluster.Op{del("j/a")}},
		"get":                 {Then: []cluster.Op{get("j/a")}},
		"compare":             {If: []cluster.Compare{{Key: "j/a", Not: true}}, Then: []cluster.Op{put("k/c", "1", 0)}},
		"put after another":   {Then: []cluster.Op{put("k/c", "1", 0), put("j/b", "1", 0)}},
		"in the other branch": {If: []cluster.Compare{absent}, Then: []cluster.Op{put("k/c", "1", 0)}, Else: []cluster.Op{get("j/a")}},
	} {
		_, err := y.kv.Txn(x.within(patience), t)
		x.refused(what, err, cluster.ErrDenied)
	}
	for _, prefix := range []string{"j/", "k"} {
		for _, serializable := range []bool{false, true} {
			_, err := y.kv.Range(x.within(patience), cluster.Range{Prefix: prefix, Serializable: serializable})
			x.refused(fmt.Sprintf("range of %q, serializable %v", prefix, serializable), err, cluster.ErrDenied)
		}
		_, err := y.follow(prefix, 1)()
		x.refused(fmt.Sprintf("watch of %q", prefix), err, cluster.ErrDenied)
	}
	if p := x.page(cluster.Range{Prefix: "k/"}); keysOf(p.Keys) != "k/b" || p.Revision != o.Revision+1 {
		x.Errorf("a denied request was applied: got %s at %d, want k/b at %d", keysOf(p.Keys), p.Revision, o.Revision+1)
	}
}
