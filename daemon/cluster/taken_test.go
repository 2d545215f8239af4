package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
)

// TestTakenHostNotReady: a host whose name another machine uses serves nobody before it ends. One
// of the same machine, whose previous run has crashed, is ready at once.
func TestTakenHostNotReady(t *testing.T) {
	t.Run("another machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			etcd := kvtest.New()
			a := run(t, etcd, "a", newDisk())
			b := begin(t, etcd, "a", newDisk(), func(cfg *cluster.Config) { cfg.Presence.Machine = "another" })
			ready := make(chan error, 1)
			go func() { ready <- b.Ready(t.Context()) }()
			began := time.Now()
			select {
			case <-b.done:
			case err := <-ready:
				t.Errorf("ready after %v: %v", time.Since(began), err)
			}
			<-b.done
			const want = "host name a is in use by another machine: set [cluster] host"
			if b.err == nil || b.err.Error() != want {
				t.Errorf("got %v, want %s", b.err, want)
			}
			a.confirmed("afterwards")
		})
	})
	t.Run("the same machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			etcd := kvtest.New()
			a := run(t, etcd, "a", newDisk())
			a.client.Cut()
			began := time.Now()
			a.restart(etcd, "a")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("ready after %v", took)
			}
		})
	})
}
