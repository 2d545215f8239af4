package cluster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
)

// position returns the revision that a host has stored as reached.
func (d *disk) position(t *testing.T) int64 {
	t.Helper()
	r, err := d.Get(record.Keys, "cluster_position")
	if err != nil {
		t.Fatal(err)
	}
	k, err := record.DecodeKey(r)
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Revision int64 }
	if err := json.Unmarshal(k.Bytes, &p); err != nil {
		t.Fatal(err)
	}
	return p.Revision
}

// early notes a position among recs if a power cut could keep it and undo copies before it.
func (d *disk) early(recs []record.Record) {
	i := slices.IndexFunc(recs, func(r record.Record) bool { return r.Table == record.Keys && r.Key == "cluster_position" })
	if i < 0 || d.Undoable() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, err := d.Store.Get(record.Keys, "cluster_position"); err != nil || !bytes.Equal(old.Value, recs[i].Value) {
		d.doubtful++
	}
}

// TestPowerCut cuts the power of a host that copies records. It loses no record up to the revision
// that it has stored as reached, and nothing of its own. It reads the others again, without a
// comparison of everything.
func TestPowerCut(t *testing.T) {
	lost := 0
	for i := range 12 {
		synctest.Test(t, func(t *testing.T) {
			etcd := kvtest.New()
			a, b := run(t, etcd, "a", newDisk()), run(t, etcd, "b", newDisk())
			o := newOperator(t, etcd)
			time.Sleep(time.Minute)
			last := 200 + 9*i
			for n := range last {
				if n == last-5 {
					if err := b.Store().Put(t.Context(), credentialOf("own", "pushed", time.Now())); err != nil {
						t.Fatal(err)
					}
				}
				o.put(credentialOf(fmt.Sprint("c", n%150), fmt.Sprint("v", n), time.Now()))
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			before := b.copies()
			b.crash()
			b.disk.CutPower()
			position, all := b.disk.position(t), o.stored()
			for key, had := range before {
				if b.copies()[key] == had || all[key] == "" {
					continue
				}
				lost++
				var revision int64
				if _, err := fmt.Sscanf(all[key], "%x at %d", new([]byte), &revision); err != nil || revision <= position {
					t.Errorf("%s of revision %d is lost, %d is reached: %v", key, revision, position, err)
				}
			}
			if b.disk.doubtful > 0 {
				t.Errorf("%d positions were put together with copies", b.disk.doubtful)
			}
			if b.value("own") != "pushed" {
				t.Error("a value that this host has stored is lost")
			}
			b = b.restart(etcd, "b")
			time.Sleep(10 * time.Second)
			o.check("restarted", a, b)
			if n := b.Stats().Reloads; n != 0 {
				t.Errorf("compared %d times", n)
			}
		})
	}
	if lost == 0 {
		t.Error("no record was lost: nothing was copied without a sync")
	}
}
