package cluster

import (
	"context"
	"encoding/json"
	"time"

	"tokend/daemon/record"
)

// position is what the mirror stores of itself. It may be behind the records, never ahead of them.
type position struct {
	Etcd     uint64 `json:"etcd"`
	Revision int64  `json:"revision"`
	Boot     string `json:"boot"`
}

// positionName is its name among the keys of the host's own store.
const positionName = "cluster_position"

// begin continues from the stored position, or wants a load if there is none.
func (m *mirror) begin() error {
	m.due = time.Now().Add(lookEvery) // etcd may have been restored in the meantime, and got further
	r, err := m.local.Get(record.Keys, positionName)
	if err != nil {
		return err
	}
	var p position
	if r.Value != nil {
		if k, err := record.DecodeKey(r); err == nil {
			_ = json.Unmarshal(k.Bytes, &p) // a damaged position is none
		}
	}
	if p.Revision <= 0 || p.Etcd == 0 {
		m.want(whyStart)
		return nil
	}
	if m.dated = p.Boot; m.dated != m.clocks.own {
		m.want(whyStart) // the copies are dated by the wall clock
	}
	m.etcd.Store(p.Etcd)
	m.revision.Store(p.Revision)
	for _, table := range []record.Table{record.Holds, record.Codes, record.Exchanged} {
		for r, err := range m.local.All(table) {
			if err == nil {
				m.names[m.keys.of(table, r.Key)] = r.Key
			}
		}
	}
	return nil
}

// save stores the position, unless changes before it are not stored.
func (m *mirror) save(ctx context.Context) {
	if m.etcd.Load() == 0 || m.restored || m.local.refused() != m.refused {
		return
	}
	b, err := json.Marshal(position{Etcd: m.etcd.Load(), Revision: m.reached(), Boot: m.dated})
	if err == nil {
		// A Put of what is stored already makes the copies durable. A power cut during a Put can
		// keep it and undo the copies before it, if they are in an older log of the database.
		old, _ := m.local.Get(record.Keys, positionName) // without Value if it cannot be read
		err = m.local.Put(ctx, record.Record{Table: record.Keys, Key: positionName, Value: old.Value})
	}
	if err == nil {
		err = m.local.Put(ctx, record.Key{Name: positionName, Bytes: b}.Encode())
	}
	if err != nil {
		m.log.Warn("the revision reached was not stored", "error", err)
	}
	m.saved = time.Now()
}

// advance notes that all changes up to a revision have been applied.
func (m *mirror) advance(ctx context.Context, revision int64) {
	m.revision.Store(revision)
	m.local.reached(revision)
	m.claims.reached(revision)
	if time.Since(m.saved) >= saveEvery {
		m.save(ctx)
	}
}
