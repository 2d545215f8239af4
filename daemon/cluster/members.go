package cluster

import (
	"slices"
	"strings"
	"sync"

	"tokend/daemon/cluster/seal"
)

// member is a host whose session lasts.
type member struct {
	Presence
	host  string
	epoch int64
}

// members are the hosts that are alive, as far as the mirror knows. The methods may be called
// concurrently, but see and reset by the mirror alone.
type members struct {
	prefix string // of presence keys
	sealer *seal.Sealer
	report func(key string, err error)
	ended  func(host string, epoch int64) // called when a session has ended

	mu    sync.Mutex
	all   map[string]member
	names []string // in order; replaced, never changed
}

// newMembers returns the members of a cluster. report is called with values that do not open.
func newMembers(prefix string, sealer *seal.Sealer, report func(key string, err error), ended func(host string, epoch int64)) *members {
	return &members{prefix: presenceKey(prefix, ""), sealer: sealer, report: report, ended: ended, all: make(map[string]member)}
}

// hosts returns the names of all members, in order. The caller must not change them.
func (m *members) hosts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names
}

// list returns all members, in the order of their names.
func (m *members) list() (all []member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.names {
		all = append(all, m.all[name])
	}
	return all
}

// alive reports whether the session of an epoch lasts.
func (m *members) alive(host string, epoch int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	is, ok := m.all[host]
	return ok && is.epoch == epoch
}

// see takes over a change of a presence key and reports whether a session has begun.
func (m *members) see(kv KeyValue) (begun bool) {
	host := strings.TrimPrefix(kv.Key, m.prefix)
	is := member{host: host, epoch: kv.Created}
	if kv.Present() {
		var err error
		if _, is.Presence, err = OpenPresence(m.sealer, kv); err != nil {
			m.report(kv.Key, err) // the host is alive all the same
		}
	}
	m.mu.Lock()
	was, had := m.all[host]
	if kv.Present() {
		m.all[host] = is
	} else {
		delete(m.all, host)
	}
	if had != kv.Present() {
		m.names = make([]string, 0, len(m.all))
		for name := range m.all {
			m.names = append(m.names, name)
		}
		slices.Sort(m.names)
	}
	m.mu.Unlock()
	if had && was.epoch != is.epoch {
		m.ended(host, was.epoch)
	}
	return kv.Present() && was.epoch != is.epoch
}

// reset takes over all presence keys that etcd has.
func (m *members) reset(all []KeyValue) (begun bool) {
	present := make(map[string]bool, len(all))
	for _, kv := range all {
		present[strings.TrimPrefix(kv.Key, m.prefix)] = true
		begun = m.see(kv) || begun
	}
	for _, host := range m.hosts() {
		if !present[host] {
			m.see(KeyValue{Key: m.prefix + host})
		}
	}
	return begun
}
