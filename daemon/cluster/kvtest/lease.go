package kvtest

import (
	"time"

	"tokend/daemon/cluster"
)

// lease is a lease that has not ended. Its keys are those that name it.
type lease struct {
	ttl   time.Duration
	timer *time.Timer
	end   time.Time
}

func (e *Etcd) grant(ttl time.Duration) (cluster.Lease, time.Duration, error) {
	if e.full {
		return 0, 0, cluster.ErrNoSpace
	}
	e.granted++
	ttl = max(minTTL, (ttl + time.Second - 1).Truncate(time.Second))
	e.lend(e.granted, ttl)
	return e.granted, ttl, nil
}

// lend starts the life of a lease.
func (e *Etcd) lend(id cluster.Lease, ttl time.Duration) {
	l := &lease{ttl: ttl}
	l.timer = time.AfterFunc(ttl, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		// Another goroutine may have extended or revoked the lease just before, and a leader that
		// is gone expires nothing.
		if e.leases[id] == l && e.lost.IsZero() && !time.Now().Before(l.end) {
			e.end(id)
		}
	})
	l.end = time.Now().Add(ttl)
	e.leases[id] = l
	if !e.lost.IsZero() {
		l.timer.Stop()
	}
}

func (e *Etcd) keepAlive(id cluster.Lease) (time.Duration, error) {
	l := e.leases[id]
	if l == nil {
		return 0, cluster.ErrNoLease
	}
	l.restart()
	return l.ttl, nil
}

// restart starts the life of l again.
func (l *lease) restart() {
	l.end = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
}

func (e *Etcd) revoke(id cluster.Lease) error {
	if e.leases[id] == nil {
		return cluster.ErrNoLease
	}
	e.end(id)
	return nil
}

// end ends a lease. Its keys are deleted at one revision.
func (e *Etcd) end(id cluster.Lease) {
	e.forget(id)
	var ops []cluster.Op
	for _, key := range e.space.attached(id) {
		ops = append(ops, cluster.Op{Verb: cluster.Delete, Key: key})
	}
	e.space.apply(ops)
	e.wake()
}

func (e *Etcd) forget(id cluster.Lease) {
	e.leases[id].timer.Stop()
	delete(e.leases, id)
}

// Expire ends the lease that a key is attached to, before its time. It reports whether there was
// one. etcd does this: a stuck old leader may revoke leases that are being renewed.
func (e *Etcd) Expire(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := e.space.latest(key).Lease
	if e.leases[id] == nil {
		return false
	}
	e.end(id)
	return true
}
