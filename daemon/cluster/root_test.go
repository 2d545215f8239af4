package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
)

// TestRekey changes the encryption key of a running cluster: no other value in etcd changes, the
// running host continues, and a host with the old key does not start.
func TestRekey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		a.give("r1")
		before := etcd.Keys("/tokend/")
		link := cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) {
			return etcd.Client("operator").Dial(endpoint), nil
		})
		defer link.Close()
		after := []byte(strings.Repeat("n", 32))
		other := []byte(strings.Repeat("o", 32))
		if err := cluster.Rekey(t.Context(), link, "/tokend", other, after); !errors.Is(err, cluster.ErrKey) {
			t.Errorf("rekey from another key: got %v, want %v", err, cluster.ErrKey)
		}
		if err := cluster.Rekey(t.Context(), link, "/tokend", testKey, after); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Rekey(t.Context(), link, "/tokend", testKey, after); err != nil {
			t.Errorf("rekey again: %v", err)
		}
		for i, kv := range etcd.Keys("/tokend/") {
			changed := !bytes.Equal(kv.Value, before[i].Value)
			if kv.Key != before[i].Key || changed != (kv.Key == "/tokend/v") {
				t.Errorf("%s: changed %v", kv.Key, changed)
			}
		}
		a.give("r2") // the running host continues
		b := begin(t, etcd, "b", newDisk())
		<-b.done
		if want := "encryption_key does not match: /tokend was sealed with another key"; b.err == nil || b.err.Error() != want {
			t.Errorf("a host with the old key: got %v, want %s", b.err, want)
		}
	})
}

// TestJoinWithoutEtcd starts hosts while etcd is unreachable: a host that has joined before serves
// what it has, an empty one waits.
func TestJoinWithoutEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		a.give("r1")
		a.stop()
		<-a.done
		etcd.StopQuorum()
		a = run(t, etcd, "a", a.disk)
		if got := a.grant(grant).Value; got != "r1" {
			t.Errorf("grant: got %q, want r1", got)
		}
		b := begin(t, etcd, "b", newDisk())
		ctx, cancel := context.WithTimeout(t.Context(), 60e9)
		defer cancel()
		if err := b.Ready(ctx); err == nil {
			t.Error("an empty host is ready without etcd")
		}
		etcd.StartQuorum()
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Host.Follow(b)
		if got := b.grant(grant).Value; got != "r1" {
			t.Errorf("grant: got %q, want r1", got)
		}
	})
}

// TestNewerRoot starts hosts under a prefix that a newer tokend has written. They end, whether they
// have joined before or not.
func TestNewerRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		o := newOperator(t, etcd)
		a.crash()
		o.raw("/tokend/v", append([]byte{9, 5}, "2.0.0 and more"...))
		for _, d := range []*disk{newDisk(), {Store: a.disk.Store, left: -1}} {
			b := begin(t, etcd, "a", d)
			time.Sleep(10 * time.Second)
			select {
			case <-b.done:
			default:
				t.Fatal("the host continues")
			}
			const want = "/tokend was written by tokend 2.0.0: this version reads formats up to 1"
			if b.err == nil || b.err.Error() != want {
				t.Errorf("got %v, want %s", b.err, want)
			}
		}
	})
}
