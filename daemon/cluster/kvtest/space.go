package kvtest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tokend/daemon/cluster"
)

// space is the keys of an etcd with their earlier versions. It knows no clients, leases or faults.
type space struct {
	revision  int64 // the last change
	compacted int64 // the oldest revision that can be read

	keys     []string                      // in order, all that have versions
	versions map[string][]cluster.KeyValue // oldest first; a deletion is not Present
	log      []change                      // oldest first, from compacted on
}

// change is one change of a key, and when it was made.
type change struct {
	cluster.KeyValue
	at time.Time
}

// newSpace returns an empty space. The first change of an etcd has revision 2.
func newSpace() space {
	return space{revision: 1, versions: make(map[string][]cluster.KeyValue)}
}

// clone returns a copy. Values are shared, because nobody changes them.
func (s *space) clone() space {
	c := *s
	c.keys, c.log = slices.Clone(s.keys), slices.Clone(s.log)
	c.versions = maps.Clone(s.versions)
	for key, versions := range c.versions {
		c.versions[key] = slices.Clone(versions)
	}
	return c
}

// at returns a key as of a revision.
func (s *space) at(key string, revision int64) cluster.KeyValue {
	for _, kv := range slices.Backward(s.versions[key]) {
		if kv.Modified <= revision {
			if kv.Present() {
				return kv
			}
			break
		}
	}
	return cluster.KeyValue{Key: key}
}

// latest returns a key as it is.
func (s *space) latest(key string) cluster.KeyValue { return s.at(key, s.revision) }

// holds reports whether c holds.
func (s *space) holds(c cluster.Compare) bool {
	kv := s.latest(c.Key)
	var field int64
	switch c.Field {
	case cluster.Modified:
		field = kv.Modified
	case cluster.Created:
		field = kv.Created
	case cluster.Version:
		field = kv.Version
	}
	return (field == c.Value) != c.Not
}

// apply applies ops at the next revision and returns what they got. Gets alone make no revision,
// nor do deletions of absent keys.
func (s *space) apply(ops []cluster.Op) (got []cluster.KeyValue) {
	revision, now := s.revision+1, time.Now()
	for _, op := range ops {
		kv := cluster.KeyValue{Key: op.Key}
		old := s.latest(op.Key)
		switch op.Verb {
		case cluster.Get:
			got = append(got, old)
			continue
		case cluster.Put:
			kv.Value, kv.Lease = bytes.Clone(op.Value), op.Lease
			kv.Created, kv.Version = old.Created, old.Version+1
			if !old.Present() {
				kv.Created = revision
			}
		case cluster.Delete:
			if !old.Present() {
				continue
			}
		}
		kv.Modified, s.revision = revision, revision
		s.add(change{kv, now})
	}
	return got
}

func (s *space) add(c change) {
	if i, found := slices.BinarySearch(s.keys, c.Key); !found {
		s.keys = slices.Insert(s.keys, i, c.Key)
	}
	s.versions[c.Key] = append(s.versions[c.Key], c.KeyValue)
	s.log = append(s.log, c)
}

// page returns what r selects.
func (s *space) page(r cluster.Range) (cluster.Page, error) {
	revision := r.Revision
	switch {
	case revision == 0:
		revision = s.revision
	case revision > s.revision:
		return cluster.Page{}, cluster.ErrFuture
	case revision < s.compacted:
		return cluster.Page{}, &cluster.CompactedError{}
	}
	var p cluster.Page
	first, _ := slices.BinarySearch(s.keys, max(r.Prefix, r.After))
	for _, key := range s.keys[first:] {
		if !strings.HasPrefix(key, r.Prefix) {
			break
		}
		kv := s.at(key, revision)
		if !kv.Present() || key == r.After {
			continue
		}
		if r.Limit > 0 && len(p.Keys) == r.Limit {
			p.More = true
			break
		}
		p.Keys = append(p.Keys, kv)
	}
	return p, nil
}

// attached returns the keys that are attached to a lease, in order.
func (s *space) attached(l cluster.Lease) (keys []string) {
	for _, key := range s.keys {
		if s.latest(key).Lease == l {
			keys = append(keys, key)
		}
	}
	return keys
}

// compact drops what is older than a revision.
func (s *space) compact(revision int64) error {
	switch {
	case revision > s.revision:
		return cluster.ErrFuture
	case revision <= s.compacted:
		return &cluster.CompactedError{}
	}
	s.compacted = revision
	for key, versions := range s.versions {
		i := 0 // the version that is readable at the revision
		for i+1 < len(versions) && versions[i+1].Modified <= revision {
			i++
		}
		if versions[i].Modified <= revision && !versions[i].Present() {
			i++
		}
		s.versions[key] = slices.Clone(versions[i:])
	}
	maps.DeleteFunc(s.versions, func(_ string, versions []cluster.KeyValue) bool { return len(versions) == 0 })
	s.keys = slices.DeleteFunc(s.keys, func(key string) bool { return s.versions[key] == nil })
	s.log = slices.DeleteFunc(s.log, func(c change) bool {
		return c.Modified < revision || c.Modified == revision && !c.Present()
	})
	return nil
}

// since returns the changes from a revision on.
func (s *space) since(revision int64) []change {
	i, _ := slices.BinarySearchFunc(s.log, revision, func(c change, revision int64) int { return cmp.Compare(c.Modified, revision) })
	return s.log[i:]
}
