package kvtest

import (
	"errors"
	"fmt"
	"strings"

	"tokend/daemon/cluster"
)

// checkCompares compares each field with its value and with others.
func checkCompares(x *check) {
	l, _ := x.grant()
	x.put("k/a", "1")
	x.putLeased("k/a", "2", l)
	kv := x.get("k/a")
	if kv.Modified != kv.Created+1 || kv.Version != 2 || kv.Lease != l || string(kv.Value) != "2" {
		x.Fatalf("got %+v", kv)
	}
	for _, c := range []struct {
		field cluster.Field
		value int64
	}{
		{cluster.Modified, kv.Modified},
		{cluster.Created, kv.Created},
		{cluster.Version, kv.Version},
	} {
		for _, d := range []int64{-1, 0, 1} {
			for _, not := range []bool{false, true} {
				compare := cluster.Compare{Key: "k/a", Field: c.field, Not: not, Value: c.value + d}
				if got, want := x.txn(cluster.Txn{If: []cluster.Compare{compare}}).Held, (d == 0) != not; got != want {
					x.Errorf("%+v: got %v, want %v", compare, got, want)
				}
			}
		}
	}
	holds := cluster.Compare{Key: "k/a", Field: cluster.Version, Value: 2}
	fails := cluster.Compare{Key: "k/b", Field: cluster.Version, Value: 2}
	for _, c := range []struct {
		compares []cluster.Compare
		want     bool
	}{
		{nil, true},
		{[]cluster.Compare{holds, holds}, true},
		{[]cluster.Compare{holds, fails}, false},
		{[]cluster.Compare{fails, holds}, false},
	} {
		if got := x.txn(cluster.Txn{If: c.compares}).Held; got != c.want {
			x.Errorf("%+v: got %v, want %v", c.compares, got, c.want)
		}
	}
}

// checkAbsent compares fields of a key that never was, and of a deleted one. They are zero.
func checkAbsent(x *check) {
	x.put("k/deleted", "1")
	x.delete("k/deleted")
	for _, key := range []string{"k/never", "k/deleted"} {
		for _, field := range []cluster.Field{cluster.Modified, cluster.Created, cluster.Version} {
			for _, value := range []int64{0, 1} {
				for _, not := range []bool{false, true} {
					c := cluster.Compare{Key: key, Field: field, Not: not, Value: value}
					if got, want := x.txn(cluster.Txn{If: []cluster.Compare{c}}).Held, (value == 0) != not; got != want {
						x.Errorf("%+v: got %v, want %v", c, got, want)
					}
				}
			}
		}
		if kv := x.get(key); kv.Present() || kv.Key != key || kv.Modified != 0 || kv.Created != 0 || kv.Value != nil {
			x.Errorf("got %+v, want the key alone", kv)
		}
	}
}

// checkElse checks which branch is applied, and what it returns.
func checkElse(x *check) {
	x.put("k/a", "1")
	t := cluster.Txn{
		If:   []cluster.Compare{{Key: "k/b", Field: cluster.Version, Value: 0}},
		Then: []cluster.Op{put("k/b", "then", 0), get("k/a"), get("k/b")},
		Else: []cluster.Op{get("k/b"), get("k/never"), get("k/a"), put("k/a", "else", 0)},
	}
	o := x.txn(t)
	if !o.Held || len(o.Got) != 2 || string(o.Got[0].Value) != "1" || string(o.Got[1].Value) != "then" || o.Got[1].Modified != o.Revision {
		x.Errorf("compare holds: got %+v", o)
	}
	o = x.txn(t)
	if o.Held || len(o.Got) != 3 || string(o.Got[0].Value) != "then" || o.Got[1].Present() || o.Got[1].Key != "k/never" || string(o.Got[2].Value) != "1" {
		x.Errorf("compare fails: got %+v", o)
	}
	if got := x.get("k/a"); string(got.Value) != "else" || got.Modified != o.Revision {
		x.Errorf("got %s, want the put of the branch", describe(got))
	}
}

// checkRevisions checks what makes a revision.
func checkRevisions(x *check) {
	first := x.txn(cluster.Txn{Then: []cluster.Op{put("k/a", "1", 0), put("k/b", "1", 0)}})
	if a, b := x.get("k/a"), x.get("k/b"); a.Modified != first.Revision || b.Modified != first.Revision {
		x.Errorf("one transaction, several revisions: %s %s", describe(a), describe(b))
	}
	same := func(what string, t cluster.Txn) {
		x.Helper()
		if got := x.txn(t).Revision; got != first.Revision {
			x.Errorf("%s: revision %d, want still %d", what, got, first.Revision)
		}
	}
	same("get", cluster.Txn{Then: []cluster.Op{get("k/a")}})
	same("deletion of an absent key", cluster.Txn{Then: []cluster.Op{del("k/never")}})
	same("put in the other branch", cluster.Txn{If: []cluster.Compare{{Key: "k/a"}}, Then: []cluster.Op{put("k/a", "2", 0)}})
	for i, op := range []cluster.Op{put("k/a", "1", 0), del("k/b"), put("k/b", "1", 0)} {
		o := x.txn(cluster.Txn{Then: []cluster.Op{op}})
		if want := first.Revision + int64(i) + 1; o.Revision != want || o.Cluster != first.Cluster || o.Cluster == 0 {
			x.Errorf("%+v: got %+v, want revision %d of cluster %d", op, o.Header, want, first.Cluster)
		}
	}
	if p := x.page(cluster.Range{Prefix: "k/"}); p.Revision != first.Revision+3 || p.Cluster != first.Cluster {
		x.Errorf("range: got %+v", p.Header)
	}
}

// checkOperations checks the number of operations that a transaction may have.
func checkOperations(x *check) {
	puts := func(n int) (ops []cluster.Op) {
		for i := range n {
			ops = append(ops, put(fmt.Sprintf("k/%d", i), "1", 0))
		}
		return ops
	}
	compares := func(n int) (all []cluster.Compare) {
		for i := range n {
			all = append(all, cluster.Compare{Key: fmt.Sprintf("k/%d", i)})
		}
		return all
	}
	for what, t := range map[string]cluster.Txn{
		"then":     {Then: puts(cluster.MaxOps + 1)},
		"else":     {Else: puts(cluster.MaxOps + 1)},
		"compares": {If: compares(cluster.MaxOps + 1), Then: puts(1)},
	} {
		_, err := x.kv.Txn(x.within(patience), t)
		x.refused(what, err, cluster.ErrTooManyOps)
	}
	if p := x.page(cluster.Range{Prefix: "k/"}); len(p.Keys) != 0 {
		x.Errorf("a refused transaction has put %d keys", len(p.Keys))
	}
	if o := x.txn(cluster.Txn{If: compares(cluster.MaxOps), Then: puts(cluster.MaxOps), Else: puts(cluster.MaxOps)}); !o.Held {
		x.Errorf("got %+v", o)
	}
	if p := x.page(cluster.Range{Prefix: "k/"}); len(p.Keys) != cluster.MaxOps {
		x.Errorf("got %d keys, want %d", len(p.Keys), cluster.MaxOps)
	}
}

// checkSize checks the size that a request may have.
func checkSize(x *check) {
	var ops []cluster.Op
	const size = cluster.MaxBytes / cluster.MaxOps
	for i := range cluster.MaxOps {
		key := fmt.Sprintf("k/%d", i)
		ops = append(ops, put(key, strings.Repeat("v", size-len(key)), 0))
	}
	if o := x.txn(cluster.Txn{Then: ops}); !o.Held {
		x.Errorf("%d bytes: got %+v", cluster.MaxBytes, o)
	}
	large := strings.Repeat("v", 1_600_000)
	for what, t := range map[string]cluster.Txn{
		"one put":            {Then: []cluster.Op{put("k/large", large, 0)}},
		"two puts":           {Then: []cluster.Op{put("k/large", large[:800_000], 0), put("k/large2", large[:800_000], 0)}},
		"the other branch":   {Then: []cluster.Op{put("k/large", "1", 0)}, Else: []cluster.Op{put("k/large", large, 0)}},
		"a put and a delete": {Then: []cluster.Op{del("k/0"), put("k/large", large, 0)}},
	} {
		_, err := x.kv.Txn(x.within(patience), t)
		x.refused(what, err, cluster.ErrTooLarge)
	}
	if x.get("k/large").Present() || !x.get("k/0").Present() {
		x.Errorf("a refused transaction was applied")
	}
}

// checkDuplicateKeys changes a key twice in a transaction.
func checkDuplicateKeys(x *check) {
	x.put("k/a", "1")
	for what, ops := range map[string][]cluster.Op{
		"two puts":       {put("k/a", "2", 0), put("k/b", "2", 0), put("k/a", "3", 0)},
		"put and delete": {put("k/a", "2", 0), del("k/a")},
		"delete and put": {del("k/a"), put("k/a", "2", 0)},
	} {
		_, err := x.kv.Txn(x.within(patience), cluster.Txn{Then: ops})
		x.refused(what, err, cluster.ErrDuplicateKey)
		_, err = x.kv.Txn(x.within(patience), cluster.Txn{Else: ops})
		x.refused(what+" in the other branch", err, cluster.ErrDuplicateKey)
	}
	if a, b := x.get("k/a"), x.get("k/b"); string(a.Value) != "1" || b.Present() {
		x.Errorf("a refused transaction was applied: %s %s", describe(a), describe(b))
	}
	o := x.txn(cluster.Txn{
		Then: []cluster.Op{get("k/a"), put("k/a", "2", 0), get("k/a"), del("k/b"), del("k/b")},
		Else: []cluster.Op{put("k/a", "3", 0)},
	})
	if len(o.Got) != 2 || string(o.Got[0].Value) != "1" || string(o.Got[1].Value) != "2" {
		x.Errorf("got %+v, want the value before and after the put", o.Got)
	}
}

// checkPages reads a state by pages while it changes.
func checkPages(x *check) {
	for i := range 20 {
		x.put(fmt.Sprintf("k/%02d", i), "1")
	}
	for _, neighbor := range []string{"j", "k", "k.", "k0", "l"} {
		x.put(neighbor, "1")
	}
	const want = "k/00 k/01 k/02 k/03 k/04 k/05 k/06 k/07 k/08 k/09 k/10 k/11 k/12 k/13 k/14 k/15 k/16 k/17 k/18 k/19"
	var got []cluster.KeyValue
	r := cluster.Range{Prefix: "k/", Limit: 8}
	for page := range 3 {
		p := x.page(r)
		if len(p.Keys) != min(8, 20-len(got)) || p.More != (page < 2) {
			x.Fatalf("page %d: got %d keys, more %v", page, len(p.Keys), p.More)
		}
		got = append(got, p.Keys...)
		if page == 0 {
			r.Revision, r.Serializable = p.Revision, true
			x.delete("k/09")
			x.put("k/10", "2")
			x.put("k/105", "1")
		}
		r.After = got[len(got)-1].Key
	}
	if keysOf(got) != want || string(got[10].Value) != "1" {
		x.Errorf("got  %s\nwant %s, as before the changes", keysOf(got), want)
	}
	now := x.page(cluster.Range{Prefix: "k/"})
	if got, want := keysOf(now.Keys), strings.Replace(strings.Replace(want, "k/09 ", "", 1), "k/10", "k/10 k/105", 1); got != want || now.More {
		x.Errorf("all: got  %s\nwant %s", got, want)
	}
	if p := x.page(cluster.Range{Prefix: "k/", Limit: 20}); len(p.Keys) != 20 || p.More {
		x.Errorf("a page that ends with the last key: got %d keys, more %v", len(p.Keys), p.More)
	}
	if p := x.page(cluster.Range{Prefix: "k/", After: "k/19"}); len(p.Keys) != 0 || p.More {
		x.Errorf("after the last key: got %s", keysOf(p.Keys))
	}
	for _, serializable := range []bool{false, true} {
		_, err := x.kv.Range(x.within(patience), cluster.Range{Prefix: "k/", Revision: now.Revision + 1, Serializable: serializable})
		x.refused(fmt.Sprintf("a future revision, serializable %v", serializable), err, cluster.ErrFuture)
	}
}

// checkCompaction reads and watches from before and after a compaction.
func checkCompaction(x *check) {
	x.put("k/old", "1")
	first := x.put("k/a", "1")
	second := x.put("k/a", "2")
	third := x.put("k/a", "3")
	x.must(x.Compact(second))

	for _, serializable := range []bool{false, true} {
		_, err := x.kv.Range(x.within(patience), cluster.Range{Prefix: "k/", Revision: first, Serializable: serializable})
		if compacted, ok := errors.AsType[*cluster.CompactedError](err); !ok || !cluster.Refused(err) {
			x.Errorf("range at %d, serializable %v: got %v, want %T", first, serializable, err, compacted)
		}
	}
	if p := x.page(cluster.Range{Prefix: "k/", Revision: second}); len(p.Keys) != 2 || string(p.Keys[0].Value) != "2" {
		x.Errorf("range at %d: got %+v", second, p.Keys)
	}
	_, err := x.follow("k/", first)()
	if compacted, ok := errors.AsType[*cluster.CompactedError](err); !ok || compacted.Revision != second {
		x.Errorf("watch from %d: got %v, want the compact revision %d", first, err, second)
	}
	x.expect(x.follow("k/", second+1), fmt.Sprintf("k/a=3@%d", third))
}
