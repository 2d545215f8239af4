package store

import (
	"strings"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// maxPending bounds the bytes that the journal has and the database does not: about thirty thousand
// grants. Beyond it, a Put waits for the database, and fails if the database rejects writes. The
// records of the last drain may stay in memory as well. While they do, the pending records are at
// most drainBytes plus one group.
const maxPending = 16 << 20

// pending is the set of records that are durable in the journal only, by database key. Readers see
// them instead of the database's. The zero value is empty. The caller synchronizes access.
type pending struct {
	values map[string]pendingValue
	bytes  int
	puts   int
}

// pendingValue is a value and its commit number. A nil value is a deletion.
type pendingValue struct {
	value  []byte
	number uint64
}

// add adds the records of one Put.
func (p *pending) add(recs []journal.Record, number uint64) {
	if p.values == nil {
		p.values = make(map[string]pendingValue)
	}
	p.puts++
	for _, r := range recs {
		v := pendingValue{number: number}
		if r.Value != nil {
			v.value = append([]byte{}, r.Value...) // a copy: the caller may reuse the value after Put
		}
		before, ok := p.values[string(r.Key)]
		if !ok {
			p.bytes += len(r.Key)
		}
		p.bytes += len(v.value) - len(before.value)
		p.values[string(r.Key)] = v
	}
}

// addOlder adds older pending records under those in p.
func (p *pending) addOlder(before pending) {
	if p.values == nil {
		*p = before
		return
	}
	for k, v := range before.values {
		if _, ok := p.values[k]; !ok {
			p.values[k] = v
			p.bytes += len(k) + len(v.value)
		}
	}
	p.puts += before.puts
}

// anyInMemoryLocked reports whether any record is in memory. s.mu is held.
func (s *Store) anyInMemoryLocked() bool {
	return len(s.pending.values)+len(s.leaving.values)+len(s.followed.values) > 0
}

// inMemoryLocked returns the value in memory under a key, taken from the journal's records, and
// whether there is one. The database has the same value or an older one. s.mu is held.
func (s *Store) inMemoryLocked(key []byte) (v pendingValue, ok bool) {
	for _, p := range [...]*pending{&s.pending, &s.leaving, &s.followed} {
		if v, ok = p.values[string(key)]; ok {
			break
		}
	}
	return v, ok
}

// under returns the pending values under keys with a prefix, or nil.
func (p *pending) under(prefix string) map[string]pendingValue {
	var m map[string]pendingValue
	for k, v := range p.values {
		if strings.HasPrefix(k, prefix) {
			if m == nil {
				m = make(map[string]pendingValue)
			}
			m[k] = v
		}
	}
	return m
}

// entries returns the pending records in stored form.
func (p *pending) entries(s sealer) []entry {
	all := make([]entry, 0, len(p.values))
	for k, v := range p.values {
		all = append(all, v.entry(k, s))
	}
	return all
}

func (v pendingValue) entry(key string, s sealer) entry {
	e := entry{key: []byte(key)}
	if v.value != nil {
		e.value = s.sealRecord(e.key, v.value, v.number)
	}
	return e
}

// tableOf returns the table of a database key.
func tableOf(key []byte) record.Table {
	table, _, _ := strings.Cut(string(key), "\x00")
	return record.Table(table)
}

// sealRecord returns the stored form of a record. It includes the commit number if the journal also
// has the record.
func (s sealer) sealRecord(key, value []byte, number uint64) []byte {
	if tableOf(key).Irreplaceable() {
		return s.sealNumbered(key, value, number)
	}
	return s.seal(key, value)
}
