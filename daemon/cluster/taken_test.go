package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/refresh"
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

// TestTakenClaimInForce: another machine has taken a host's name over, and calls. The first one
// comes back with an answer. It leaves doubt only after that call, also if it has not seen yet that
// the session of the claim lasts.
func TestTakenClaimInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := run(t, etcd, "a", newDisk())
		a.give("r1")
		c, err := a.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.client.Cut()
		time.Sleep(20 * time.Second)
		b := run(t, etcd, "a", newDisk(), func(cfg *cluster.Config) { cfg.Presence.Machine = "another" })
		other, err := b.claim(rotating)
		if err != nil {
			t.Fatal(err)
		}
		a.client.MuteWatches()
		a.client.Heal()
		if err := c.Land(t.Context(), a.answer("t1", "r2")...); !errors.Is(err, refresh.ErrOvertaken) {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := other.Land(t.Context(), b.answer("t2", "r3")...); err != nil {
			t.Errorf("land: %v", err)
		}
		a.client.UnmuteWatches()
		time.Sleep(time.Minute)
		checkGenerations(t, "r3", "r2", b)
		if !b.doubtful(token) {
			t.Error("no doubt")
		}
	})
}
