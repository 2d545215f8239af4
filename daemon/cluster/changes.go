package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
)

// batchSize is about how many records are applied at once.
const batchSize = 64

// take applies what the watch has yielded, in order.
func (m *mirror) take(ctx context.Context, changes []KeyValue) error {
	var recs []record.Record
	flush := func(revision int64) error {
		err := m.apply(ctx, recs...)
		recs = nil
		if err == nil && revision > 0 {
			m.advance(ctx, revision)
		}
		return err
	}
	for i, kv := range changes {
		letter := m.letter(kv.Key)
		var news []record.Record
		var err error
		switch letter {
		case "m", "n", "l":
			if err = flush(0); err == nil { // the records before it come first
				m.takeLive(letter, kv)
			}
		default:
			news, err = m.changed(letter, kv)
		}
		switch {
		case errors.Is(err, errUnmet): // this revision is read again
			return errors.Join(flush(wholeBefore(changes, i)), err)
		case err != nil:
			return err
		}
		for _, r := range news {
			recs = append(slices.DeleteFunc(recs, sameAs(r)), r)
		}
		if last := i+1 == len(changes) || changes[i+1].Modified != kv.Modified; last && (len(recs) >= batchSize || i+1 == len(changes)) {
			if err := flush(kv.Modified); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameAs reports for other records whether they are of the same name as r.
func sameAs(r record.Record) func(record.Record) bool {
	return func(o record.Record) bool { return o.Table == r.Table && o.Key == r.Key }
}

// letter returns the letter of a key's table: of no table, it is empty.
func (m *mirror) letter(key string) string {
	letter, id, _ := m.keys.split(key)
	if key != rootKey(m.keys.prefix) && (id == "" || strings.Contains(id, "/")) {
		return ""
	}
	return letter
}

// wholeBefore returns the last revision that is complete before change i, or zero.
func wholeBefore(changes []KeyValue, i int) int64 {
	for j := i - 1; j >= 0; j-- {
		if changes[j].Modified != changes[i].Modified {
			return changes[j].Modified
		}
	}
	return 0
}

// takeLive takes over a change of a presence, a heartbeat or a claim.
func (m *mirror) takeLive(letter string, kv KeyValue) {
	old := kv.Modified <= m.floors[letter] // and included in what was read
	switch {
	case letter == "n" && (!old || m.own(kv)):
		m.beats.see(kv, true)
	case old:
	case letter == "l":
		m.claims.see(kv, kv.Modified)
	case letter == "m":
		if m.members.see(kv) {
			m.beats.soon()
		}
	}
}

// own reports whether kv is this host's heartbeat.
func (m *mirror) own(kv KeyValue) bool { return kv.Key == m.beats.key }

// changed returns the records that a change makes.
func (m *mirror) changed(letter string, kv KeyValue) ([]record.Record, error) {
	if !kv.Present() {
		return m.deleted(letter, kv)
	}
	if letter == "v" {
		return nil, nil
	}
	r, err := m.open(letter, kv)
	if err != nil {
		if errors.Is(err, seal.ErrSealed) {
			m.suspect()
		}
		return nil, nil
	}
	if boot, _ := bootOf(r); m.unmet(boot) {
		return nil, errUnmet
	}
	if r.Table == record.Grants {
		ours, err := copyOf(m.local, r.Table, r.Key)
		if err != nil {
			m.suspect() // the comparison decides, which knows whether etcd was restored
			return nil, nil
		}
		if ours.Revision > r.Revision {
			return nil, nil
		}
		if v := m.judge(ours, r, false).verdict; v == putBack || v == keepBoth {
			m.suspect()
			return nil, nil
		}
	}
	return []record.Record{r}, nil
}

// open returns the record of a present key. An error is reported.
func (m *mirror) open(letter string, kv KeyValue) (record.Record, error) {
	r, err := m.keys.open(kv)
	if err == nil {
		_, err = bootOf(r)
	}
	if err != nil {
		m.reports.report(kv.Key, err)
		return record.Record{}, err
	}
	m.reports.forget(kv.Key)
	if letter == "h" || letter == "q" {
		m.names[kv.Key] = r.Key
	}
	return r, nil
}

// deleted returns the records of a deletion. Nobody deletes the others: if they are missing, the
// comparison puts them back.
func (m *mirror) deleted(letter string, kv KeyValue) ([]record.Record, error) {
	name := m.names[kv.Key]
	delete(m.names, kv.Key)
	switch {
	case letter == "c" || letter == "g":
		m.suspect()
		return nil, nil
	case name == "":
		return nil, nil
	case letter == "h":
		return []record.Record{{Table: record.Holds, Key: name, Revision: kv.Modified}}, nil
	}
	return []record.Record{
		{Table: record.Codes, Key: name, Revision: kv.Modified},
		{Table: record.Exchanged, Key: name, Revision: kv.Modified},
	}, nil
}

// datable returns those of recs, which were read at a revision, whose times can be converted. The
// mirror brings the others when the clocks of their hosts are known. Values that a restore may have
// brought back are left to the comparison.
func (h *Host) datable(recs []record.Record, at int64) []record.Record {
	return slices.DeleteFunc(recs, func(r record.Record) bool {
		if r.Value == nil {
			return false
		}
		if h.mirror.mayBeRevived(r, at) {
			return true
		}
		boot, err := bootOf(r)
		if err != nil || boot == "" {
			return false
		}
		_, ok := h.clocks.known(boot)
		return !ok && h.mirror.brings(r) || h.mirror.unmet(boot)
	})
}

// brings reports whether this host has yet to learn, or to compare, what etcd had before r. Until
// then it does not know who is alive, as before the first contact.
func (m *mirror) brings(r record.Record) bool {
	return m.beats.contact() == 0 || r.Revision > m.reached() || m.revives()
}

// unmet reports whether times of a boot cannot be converted yet: its host is alive, and this host
// will know its clock in a moment.
func (m *mirror) unmet(boot string) bool {
	if boot == "" || boot == m.clocks.own || m.clocks.exchanged(boot) {
		return false
	}
	host := boot[strings.LastIndexByte(boot, '@')+1:]
	for _, peer := range m.beats.unmet() {
		if peer.host == host {
			return !m.isWaived(peer)
		}
	}
	return false
}

// bootOf returns the boot in which the times of r were taken, if it has any. It fails if r cannot
// be decoded.
func bootOf(r record.Record) (boot string, err error) {
	switch r.Table {
	case record.Credentials:
		c, err := record.DecodeCredential(r)
		return c.Boot, err
	case record.Grants:
		_, err := record.DecodeGrant(r)
		return "", err
	case record.Holds:
		h, err := record.DecodeHold(r)
		return h.Boot, err
	case record.Budgets:
		b, err := record.DecodeBudget(r)
		return b.Boot, err
	case record.Codes:
		c, err := record.DecodeCode(r)
		return c.Boot, err
	case record.Exchanged:
		s, err := record.DecodeSpent(r)
		return s.Boot, err
	case record.Keys:
		_, err := record.DecodeKey(r)
		return "", err
	}
	return "", fmt.Errorf("no host shares a %s", r.Table)
}
