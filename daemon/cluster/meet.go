package cluster

import (
	"context"
	"errors"
	"time"
)

const (
	// pageSize is how many keys a page of a load has: with 1000, a load of 100 000 keys takes 2 s
	// and 14 MB.
	pageSize = 1000

	// maxMeeting is how long a host waits for the clocks of its peers before it reads their
	// records. It waits for firstMeeting if it has no copies that were dated in this boot, or if
	// etcd was unreachable: it would take times from its wall clock. A host answers within 1 s. If
	// its watch is silent, also because etcd was restored, it writes a heartbeat within
	// firstMeeting. A dead host is waited for until its session ends. meetingPause is between two
	// looks.
	maxMeeting   = 4 * time.Second
	firstMeeting = beatEvery + echoTimeout + time.Second
	meetingPause = 200 * time.Millisecond
)

// meet reads members, heartbeats and claims, and waits for a while until the clocks of all members
// are known.
func (m *mirror) meet(ctx context.Context) error {
	deadline := time.Now().Add(m.patience())
	for {
		if err := m.look(ctx, "m", m.takeMembers); err != nil {
			return err
		}
		if err := m.look(ctx, "n", m.beats.reset); err != nil {
			return err
		}
		waiting := false
		for _, peer := range m.beats.unmet() {
			waiting = waiting || !m.isWaived(peer)
		}
		if !waiting {
			break
		}
		if !time.Now().Before(deadline) {
			for _, peer := range m.beats.unmet() {
				m.waive(peer)
				m.log.Warn("a host does not answer: its clock is not known", "host", peer.host)
			}
			break
		}
		if !pause(ctx, meetingPause) {
			return ctx.Err()
		}
	}
	return m.look(ctx, "l", func(all []KeyValue) { m.claims.reset(all, m.floors["l"]) })
}

// patience returns how long to wait for the clocks of peers.
func (m *mirror) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dated != m.clocks.own || m.unreachable.Load() {
		return firstMeeting
	}
	return maxMeeting
}

// waive ends the wait for the clock of a host.
func (m *mirror) waive(peer member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waived[peer.host] = peer.epoch
}

func (m *mirror) isWaived(peer member) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waived[peer.host] == peer.epoch
}

func (m *mirror) takeMembers(all []KeyValue) {
	if m.members.reset(all) {
		m.beats.soon()
	}
}

// look reads the keys of a letter.
func (m *mirror) look(ctx context.Context, letter string, reset func([]KeyValue)) error {
	var all []KeyValue
	h, err := m.pages(ctx, m.keys.prefix+"/"+letter+"/", func(_ Header, page []KeyValue) error {
		for _, kv := range page {
			if m.letter(kv.Key) == letter { // all others are reported by the comparison
				all = append(all, kv)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.floors[letter] = h.Revision
	reset(all)
	return nil
}

// pages passes all keys with a prefix to each, at one revision, which it returns. It fails with
// errRestored if that is the first sign of a restore.
func (m *mirror) pages(ctx context.Context, prefix string, each func(Header, []KeyValue) error) (at Header, err error) {
	r := Range{Prefix: prefix, Limit: pageSize}
	before := m.reached()
	for {
		var p Page
		err := m.link.Do(ctx, func(ctx context.Context, kv KV) (err error) {
			p, err = kv.Range(ctx, r)
			return err
		})
		if errors.Is(err, ErrFuture) && r.Serializable { // the endpoint is behind: let it catch up
			r.Serializable = false
			continue
		}
		if err != nil {
			return at, err
		}
		if r.Revision == 0 {
			at = p.Header
			if m.olderThan(before, at) && !m.restored {
				return at, errRestored
			}
			r.Revision, r.Serializable = at.Revision, true
		}
		if err := each(at, p.Keys); err != nil {
			return at, err
		}
		if !p.More || len(p.Keys) == 0 {
			return at, nil
		}
		r.After = p.Keys[len(p.Keys)-1].Key
	}
}
