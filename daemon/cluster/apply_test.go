package cluster

import (
	"context"
	"testing"

	"tokend/daemon/record"
	"tokend/daemon/store/memstore"
)

// readier is a store whose host becomes ready while something is being written to it.
type readier struct {
	*memstore.Store
	host *Host
}

func (r *readier) Copy(ctx context.Context, recs ...record.Record) error {
	close(r.host.ready)
	return r.Store.Copy(ctx, recs...)
}

// follower counts the records that it gets.
type follower int

func (f *follower) Follow(recs ...record.Record) { *f += follower(len(recs)) }

// TestReadyWhileApplying: the follower, which may have read the store before a record was written,
// gets the record.
func TestReadyWhileApplying(t *testing.T) {
	local := &readier{Store: &memstore.Store{}}
	h := &Host{ready: make(chan struct{}), followed: make(chan struct{})}
	h.cfg.Local, h.store, local.host = local, &Store{Store: local, host: h, deleted: make(map[recordID]int64)}, h
	var f follower
	h.Follow(&f)
	if err := h.apply(t.Context(), record.Record{Table: record.Credentials, Key: "c", Value: []byte{1}, Revision: 7}); err != nil {
		t.Fatal(err)
	}
	if f != 1 {
		t.Errorf("got %d records", f)
	}
}
