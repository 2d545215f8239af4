package store

import (
	"strings"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// maxPending bounds in bytes what the journal has taken and the database has not: some thirty
// thousand grants. Beyond it a Put waits for the database, and is refused where that takes nothing.
// What the database has just taken may be kept beside it for a while: while it is, what waits is no
// more than trailBytes and a group.
const maxPending = 16 << 20

// pending is what is durable in the journal only, by key in the database. Readers see it over
// what the database has. Its zero value is empty; it belongs to who guards it.
type pending struct {
	values map[string]pendingValue
	bytes  int
	puts   int
}

// pendingValue is a value and the number of its commit; nil for a deletion.
type pendingValue struct {
	value  []byte
	number uint64
}

// add takes over the records of one Put.
func (p *pending) add(recs []journal.Record, number uint64) {
	if p.values == nil {
		p.values = make(map[string]pendingValue)
	}
	p.puts++
	for _, r := range recs {
		v := pendingValue{number: number}
		if r.Value != nil {
			v.value = append([]byte{}, r.Value...) // the caller's again when Put returns
		}
		before, ok := p.values[string(r.Key)]
		if !ok {
			p.bytes += len(r.Key)
		}
		p.bytes += len(v.value) - len(before.value)
		p.values[string(r.Key)] = v
	}
}

// goUnder takes over what was pending before what is in p.
func (p *pending) goUnder(before pending) {
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

// anyAtHandLocked reports whether anything is at hand. s.mu is held.
func (s *Store) anyAtHandLocked() bool {
	return len(s.pending.values)+len(s.leaving.values)+len(s.followed.values) > 0
}

// atHandLocked returns what is kept in memory under a key, of what the journal has taken, and
// whether there is something: what the database has is that, or older. s.mu is held.
func (s *Store) atHandLocked(key []byte) (v pendingValue, ok bool) {
	for _, p := range [...]*pending{&s.pending, &s.leaving, &s.followed} {
		if v, ok = p.values[string(key)]; ok {
			break
		}
	}
	return v, ok
}

// under returns what is pending under keys with a prefix; nil for nothing.
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

// entries returns what is pending as s stores it.
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

// tableOf returns the table of a key in the database.
func tableOf(key []byte) record.Table {
	table, _, _ := strings.Cut(string(key), "\x00")
	return record.Table(table)
}

// sealRecord returns the stored form of a record: numbered where the journal keeps it too.
func (s sealer) sealRecord(key, value []byte, number uint64) []byte {
	if tableOf(key).Irreplaceable() {
		return s.sealNumbered(key, value, number)
	}
	return s.seal(key, value)
}
