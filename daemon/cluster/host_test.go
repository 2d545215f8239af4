package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/fetchers/secret"
)

const (
	token = "open_platform/wxp/wxc/access_token"
	grant = "open_platform/wxp/wxc/refresh_token"
)

var testKey = []byte(strings.Repeat("k", 32))

// node is a host without an engine: the test claims and lands itself.
type node struct {
	*cluster.Host
	t      *testing.T
	client *kvtest.Client
	disk   *disk
	done   chan struct{}
	err    error // valid when done is closed
	stop   context.CancelFunc

	mu     sync.Mutex
	claims map[string]record.Claim // what the engine would know

	deaf  bool                // the disk may refuse what other hosts store
	watch func(record.Record) // called with what is followed; may be nil
}

// runs counts the hosts that were started: each run has a connection of its own.
var runs int

// run starts a host on a disk, and waits until it is ready. change changes its configuration.
func run(t *testing.T, etcd *kvtest.Etcd, name string, d *disk, change ...func(*cluster.Config)) *node {
	t.Helper()
	n := begin(t, etcd, name, d, change...)
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Host.Follow(n)
	synctest.Wait()
	return n
}

// begin starts a host on a disk.
func begin(t *testing.T, etcd *kvtest.Etcd, name string, d *disk, change ...func(*cluster.Config)) *node {
	t.Helper()
	runs++
	n := &node{t: t, client: etcd.Client(fmt.Sprint(name, runs)), disk: d, done: make(chan struct{}), claims: map[string]record.Claim{}}
	born := time.Now().Add(-time.Hour)
	boottime := func() time.Duration { return time.Since(born) }
	cfg := cluster.Config{
		Prefix: "/tokend", Host: name, Key: testKey, Timeout: 5 * time.Second, Local: d,
		Presence: cluster.Presence{Machine: "machine of " + name, Boot: "boot@" + name, PID: runs, Version: "1.9.0", Formats: 1},
		Link:     cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) { return n.client.Dial(endpoint), nil }),
		Clock:    clock.New(boottime), Boot: "boot@" + name,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if n.Host, err = cluster.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n.stop = cancel
	go func() { n.err = n.Run(ctx); close(n.done) }()
	t.Cleanup(func() { cancel(); <-n.done })
	return n
}

// Follow stands for the engine's.
func (n *node) Follow(recs ...record.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range recs {
		if n.watch != nil {
			n.watch(r)
		}
		if r.Table != record.Claims {
			if err := n.Store().Put(n.t.Context(), r); err != nil && !errors.Is(err, errCrashed) && !n.deaf {
				n.t.Errorf("follow %s %s: %v", r.Table, r.Key, err)
			}
			continue
		}
		if r.Value == nil {
			delete(n.claims, r.Key)
			continue
		}
		c, err := record.DecodeClaim(r)
		if err != nil {
			n.t.Error(err)
		}
		n.claims[r.Key] = c
	}
}

// claimOf returns the claim of a credential that the engine would know of, zero if it is none.
func (n *node) claimOf(name string) record.Claim {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.claims[name]
}

// doubtful reports whether the engine would fetch a credential because it is in doubt.
func (n *node) doubtful(name string) bool {
	return n.claimOf(name).State == record.Doubtful
}

// crash ends a host as SIGKILL does.
func (n *node) crash() {
	n.client.Cut()
	n.disk.crash()
	n.stop()
	<-n.done
}

// grant returns the copy of a grant.
func (n *node) grant(name string) record.Grant {
	n.t.Helper()
	r, err := n.Store().Get(record.Grants, name)
	if err != nil || r.Value == nil {
		n.t.Fatalf("%s: no grant, %v", name, err)
	}
	g, err := record.DecodeGrant(r)
	if err != nil {
		n.t.Fatal(err)
	}
	return g
}

// value returns the copy of a credential's value, empty if there is none.
func (n *node) value(name string) secret.Text {
	n.t.Helper()
	r, err := n.Store().Get(record.Credentials, name)
	if err != nil || r.Value == nil {
		return ""
	}
	c, err := record.DecodeCredential(r)
	if err != nil {
		n.t.Fatal(err)
	}
	return c.Value
}

// claim claims the token, and follows what is newer until it can.
func (n *node) claim(want refresh.Want, recs ...record.Record) (refresh.Claim, error) {
	for {
		c, err := n.Claim(n.t.Context(), want, recs...)
		newer, ok := errors.AsType[*refresh.NewerError](err)
		if !ok {
			return c, err
		}
		n.Follow(newer.Records...)
	}
}

// give stores a grant as PUT does.
func (n *node) give(value secret.Text) {
	n.t.Helper()
	g := record.Grant{Name: grant, Generation: record.Generation{Value: value, At: time.Now(), Source: "put"}}
	if err := n.Store().Put(n.t.Context(), g.Encode()); err != nil {
		n.t.Fatal(err)
	}
}

// answer returns the records of an answer of WeChat: a token and the next refresh token.
func (n *node) answer(value, next secret.Text) []record.Record {
	now := record.Moment{Wall: time.Now(), Since: time.Hour}
	end := record.Moment{Wall: now.Wall.Add(2 * time.Hour), Since: 3 * time.Hour}
	r, err := n.Store().Get(record.Grants, grant)
	g, err2 := record.DecodeGrant(r)
	if err = errors.Join(err, err2); err != nil && !errors.Is(err, errCrashed) {
		n.t.Error(err)
	}
	g.Replace(record.Generation{Value: next, At: now.Wall, Source: "rotation"})
	c := record.Credential{Name: token, Value: value, Boot: "boot", Issued: now, Seen: now, End: end, Life: 2 * time.Hour}
	return []record.Record{c.Encode(), g.Encode()}
}

var rotating = refresh.Want{Table: record.Credentials, Name: token, Grant: grant, Rotates: true}

// disk is a store that a crash cuts off from its host. After a number of writes, the host crashes.
type disk struct {
	*memstore.Store

	mu      sync.Mutex
	crashed bool
	left    int // writes until the crash; negative: none

	doubtful int // positions that were put before copies were durable

	unreadable string // records of this key cannot be read, until one is written
}

func newDisk() *disk { return &disk{Store: &memstore.Store{}, left: -1} }

var errDisk = errors.New("no space left on device")

var errCrashed = errors.New("this host has crashed")

func (d *disk) Put(ctx context.Context, recs ...record.Record) error {
	d.early(recs)
	return d.write(ctx, d.Store.Put, recs)
}

func (d *disk) Copy(ctx context.Context, recs ...record.Record) error {
	return d.write(ctx, d.Store.Copy, recs)
}

func (d *disk) Get(table record.Table, key string) (record.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key == d.unreadable {
		return record.Record{}, errDisk
	}
	return d.Store.Get(table, key)
}

// spoil makes the records of a key unreadable; empty: of none.
func (d *disk) spoil(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unreadable = key
}

func (d *disk) write(ctx context.Context, put func(context.Context, ...record.Record) error, recs []record.Record) error {
	if d.gone() {
		return errCrashed
	}
	err := put(ctx, recs...)
	d.mu.Lock()
	if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Key == d.unreadable }) {
		d.unreadable = ""
	}
	d.mu.Unlock()
	d.wrote()
	return err
}

func (d *disk) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

func (d *disk) crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
}

// wrote counts a write of the host, to its disk or to etcd, and reports whether it was the last.
func (d *disk) wrote() (last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left < 0 || d.crashed {
		return d.crashed
	}
	d.left--
	d.crashed = d.left < 0
	return d.crashed
}
