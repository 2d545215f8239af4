package kvtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tokend/daemon/cluster"
)

// TestRestore restores a backup under a host.
func TestRestore(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		inBubble(t, func(w *world) {
			l, ttl, err := w.kv.Grant(w.Context(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			first, err := w.kv.Txn(w.Context(), cluster.Txn{Then: []cluster.Op{put("a", "1", 0), put("m", "1", l)}})
			if err != nil {
				t.Fatal(err)
			}
			backup := w.Backup()
			w.mustPut("a", "2")
			w.mustPut("b", "2")
			watched := w.follow(w.Revision() + 1)
			time.Sleep(time.Hour)
			watched("before the restore", fmt.Sprintf("m@%d", first.Revision+3))
			other, _, err := w.kv.Grant(w.Context(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			w.client.Faults(func(Request) Fault { return Fault{Delay: time.Minute} })
			if err := w.put(w.kv, "late", "1"); !errors.Is(err, cluster.ErrUnknown) {
				w.Errorf("got %v", err)
			}
			w.client.Faults(nil)
			w.Restore(backup, renamed)

			w.state("restored", "a=1", "m=1")
			p, err := w.kv.Range(w.Context(), cluster.Range{})
			if err != nil || p.Revision != first.Revision || (p.Cluster != first.Cluster) != renamed {
				t.Errorf("got %+v, %v, want revision %d", p.Header, err, first.Revision)
			}
			if _, err := w.kv.KeepAlive(w.Context(), other); !errors.Is(err, cluster.ErrNoLease) {
				t.Errorf("a lease after the backup: got %v", err)
			}
			if l, _, _ := w.kv.Grant(w.Context(), time.Hour); l <= other {
				t.Errorf("lease %d after %d: an ID is used twice", l, other)
			}
			time.Sleep(ttl - time.Second)
			w.state("before the lease ends", "a=1", "m=1")
			time.Sleep(2 * time.Second)
			w.state("after the lease has ended", "a=1")
			w.mustPut("c", "1")
			w.mustPut("c", "2")
			watched("below the revision of the watch")
			w.mustPut("c", "3")
			watched("above it", fmt.Sprintf("c=3@%d", first.Revision+4))
			time.Sleep(time.Minute)
			w.state("a late request from before", "a=1", "c=3")

			w.mustPut("a", "3")
			w.Restore(backup, renamed)
			w.state("restored again", "a=1", "m=1")
		})
	}
}

// TestCompactionDropsDeletion compacts at a deletion that a watch has not yielded yet. etcd 3.4 and
// 3.5 drop it.
func TestCompactionDropsDeletion(t *testing.T) {
	inBubble(t, func(w *world) {
		w.mustPut("a", "1")
		watched := w.follow(2)
		watched("first", "a=1@2")
		w.client.MuteWatches()
		if _, err := w.kv.Txn(w.Context(), cluster.Txn{Then: []cluster.Op{del("a"), put("b", "1", 0)}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Compact(3); err != nil {
			t.Fatal(err)
		}
		w.client.UnmuteWatches()
		watched("compacted", "b=1@3")
		w.state("compacted", "b=1")
	})
}

// TestCompact checks what a compaction accepts and keeps.
func TestCompact(t *testing.T) {
	inBubble(t, func(w *world) {
		w.mustPut("a", "1")
		w.mustPut("a", "2")
		w.mustPut("b", "1")
		w.mustPut("a", "3")
		if err := w.Compact(6); !errors.Is(err, cluster.ErrFuture) {
			t.Errorf("future revision: got %v", err)
		}
		for range 2 {
			err := w.Compact(4)
			if _, again := errors.AsType[*cluster.CompactedError](err); again != (w.space.compacted == 4 && err != nil) {
				t.Errorf("got %v", err)
			}
		}
		for revision, want := range map[int64]string{4: "a=2@3 b=1@4", 5: "a=3@5 b=1@4"} {
			p, err := w.kv.Range(w.Context(), cluster.Range{Revision: revision})
			if err != nil || len(p.Keys) != 2 || describe(p.Keys[0])+" "+describe(p.Keys[1]) != want {
				t.Errorf("at %d: got %+v, %v, want %s", revision, p.Keys, err, want)
			}
		}
	})
}
