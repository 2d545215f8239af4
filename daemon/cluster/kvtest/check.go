package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokend/daemon/cluster"
)

// check is one behavior under test.
type check struct {
	Reporter
	Cluster
	kv cluster.KV // a client for everything that does not need one of its own
}

const (
	// patience is how long an answer or an event may take.
	patience = 10 * time.Second

	// begun is how long a watch takes to begin, at most.
	begun = 200 * time.Millisecond

	// deadline is that of a request that gets no answer.
	deadline = 500 * time.Millisecond
)

func newCheck(t Reporter, c Cluster) *check {
	return (&check{Reporter: t, Cluster: c}).with(c.Dial(c.Endpoints()[0]))
}

// with returns the check with another client, which it closes at the end.
func (x *check) with(kv cluster.KV) *check {
	x.Cleanup(func() { kv.Close() })
	return &check{x.Reporter, x.Cluster, kv}
}

// must fails the test if err is not nil.
func (x *check) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatalf("%v", err)
	}
}

// within returns a context that ends after d.
func (x *check) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(x.Context(), d)
	x.Cleanup(cancel)
	return ctx
}

// txn applies a transaction that must be answered.
func (x *check) txn(t cluster.Txn) cluster.Outcome {
	x.Helper()
	o, err := x.kv.Txn(x.within(patience), t)
	x.must(err)
	return o
}

// put puts a value and returns the revision.
func (x *check) put(key, value string) int64 {
	x.Helper()
	return x.txn(cluster.Txn{Then: []cluster.Op{put(key, value, 0)}}).Revision
}

// delete deletes a key and returns the revision.
func (x *check) delete(key string) int64 {
	x.Helper()
	return x.txn(cluster.Txn{Then: []cluster.Op{del(key)}}).Revision
}

// get returns a key as it is.
func (x *check) get(key string) cluster.KeyValue {
	x.Helper()
	return x.txn(cluster.Txn{Then: []cluster.Op{get(key)}}).Got[0]
}

// page returns what r selects.
func (x *check) page(r cluster.Range) cluster.Page {
	x.Helper()
	p, err := x.kv.Range(x.within(patience), r)
	x.must(err)
	return p
}

// grant creates a lease with the shortest life that etcd grants.
func (x *check) grant() (cluster.Lease, time.Duration) {
	x.Helper()
	l, ttl, err := x.kv.Grant(x.within(patience), time.Second)
	x.must(err)
	return l, ttl
}

// putLeased puts a value with a lease.
func (x *check) putLeased(key, value string, l cluster.Lease) {
	x.Helper()
	x.txn(cluster.Txn{Then: []cluster.Op{put(key, value, l)}})
}

// gone waits until a key is absent, and returns how long that took.
func (x *check) gone(key string, atMost time.Duration) time.Duration {
	x.Helper()
	start := time.Now()
	for x.get(key).Present() {
		if time.Since(start) > atMost {
			x.Fatalf("%s is present after %v", key, atMost)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(start)
}

// refused checks that err is a refusal, and which.
func (x *check) refused(what string, err, want error) {
	x.Helper()
	if !errors.Is(err, want) || !cluster.Refused(err) {
		x.Errorf("%s: got %v, want the refusal %v", what, err, want)
	}
}

// unknown checks that a request has no known outcome.
func (x *check) unknown(what string, err error) {
	x.Helper()
	if !errors.Is(err, cluster.ErrUnknown) || cluster.Refused(err) {
		x.Errorf("%s: got %v, want %v", what, err, cluster.ErrUnknown)
	}
}

// follow begins a watch and returns a function that returns its next batch. The watch ends with the
// test at the latest.
func (x *check) follow(prefix string, from int64) func() ([]cluster.KeyValue, error) {
	type batch struct {
		changes []cluster.KeyValue
		err     error
	}
	ctx, cancel := context.WithCancel(x.Context())
	batches, ended := make(chan batch), make(chan struct{})
	go func() {
		defer close(ended)
		for changes, err := range x.kv.Watch(ctx, prefix, from) {
			select {
			case batches <- batch{changes, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	x.Cleanup(func() { cancel(); <-ended })
	return func() ([]cluster.KeyValue, error) {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case b := <-batches:
			return b.changes, b.err
		case <-ended:
			return nil, errors.New("the watch has ended")
		case <-timer.C:
			return nil, fmt.Errorf("nothing for %v", patience)
		}
	}
}

// expect reads batches until it has as many changes as want has, and compares them. A change reads
// key=value@revision, a deletion key@revision.
func (x *check) expect(next func() ([]cluster.KeyValue, error), want ...string) {
	x.Helper()
	var got []string
	for len(got) < len(want) {
		changes, err := next()
		if err != nil {
			x.Fatalf("got %q, %v\nwant %q", got, err, want)
		}
		for _, kv := range changes {
			got = append(got, describe(kv))
		}
	}
	if !slices.Equal(got, want) {
		x.Fatalf("got  %q\nwant %q", got, want)
	}
}

func describe(kv cluster.KeyValue) string {
	if kv.Present() {
		return fmt.Sprintf("%s=%s@%d", kv.Key, kv.Value, kv.Modified)
	}
	return fmt.Sprintf("%s@%d", kv.Key, kv.Modified)
}

// keysOf returns the keys of kvs as one text.
func keysOf(kvs []cluster.KeyValue) string {
	var keys []string
	for _, kv := range kvs {
		keys = append(keys, kv.Key)
	}
	return strings.Join(keys, " ")
}

func put(key, value string, l cluster.Lease) cluster.Op {
	return cluster.Op{Verb: cluster.Put, Key: key, Value: []byte(value), Lease: l}
}

func get(key string) cluster.Op { return cluster.Op{Verb: cluster.Get, Key: key} }
func del(key string) cluster.Op { return cluster.Op{Verb: cluster.Delete, Key: key} }
