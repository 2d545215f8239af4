package kvtest

import (
	"testing"
	"testing/synctest"

	"tokend/daemon/cluster"
)

// inMemory is an Etcd as [Conformance] uses it.
type inMemory struct {
	*Etcd
	renamed bool // a restore changes the cluster ID
}

func (m inMemory) Dial(endpoint string) cluster.KV { return m.Client("host").Dial(endpoint) }

func (m inMemory) DialLimited(prefix string) cluster.KV {
	c := m.Client("limited")
	c.Limit(prefix)
	return c.Dial(m.Endpoints()[0])
}

func (m inMemory) Backup() (restore func()) {
	b := m.Etcd.Backup()
	return func() { m.Restore(b, m.renamed) }
}

// TestConformance checks an Etcd in real time.
func TestConformance(t *testing.T) {
	Conformance(t, func(*testing.T) Cluster { return inMemory{New(), false} })
}

// virtual is a test whose checks run in bubbles.
type virtual struct{ *testing.T }

func (v virtual) Parallel() {}

func (v virtual) Run(name string, check func(virtual)) bool {
	return v.T.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { check(virtual{t}) })
	})
}

// TestConformanceVirtual checks an Etcd in virtual time.
func TestConformanceVirtual(t *testing.T) {
	Conformance(virtual{t}, func(virtual) Cluster { return inMemory{New(), true} })
}
