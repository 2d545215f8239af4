package kvtest

import (
	"testing"
	"testing/synctest"

	"tokend/daemon/cluster"
)

// inMemory is an Etcd as [Conformance] uses it.
type inMemory struct{ *Etcd }

func (m inMemory) Dial() cluster.KV { return m.Client("host").Dial(m.Endpoints()[0]) }

// TestConformance checks an Etcd in real time.
func TestConformance(t *testing.T) {
	Conformance(t, func(*testing.T) Cluster { return inMemory{New()} })
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
	Conformance(virtual{t}, func(virtual) Cluster { return inMemory{New()} })
}
