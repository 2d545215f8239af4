package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
)

// TestLongerPrefix: a second cluster has a prefix that begins with that of the first, and looks
// like one of its tables. The hosts of the first neither delete its root nor compare everything
// because of its keys.
func TestLongerPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		n := run(t, etcd, "n", newDisk(), func(cfg *cluster.Config) { cfg.Prefix = "/tokend/b" })
		a := run(t, etcd, "a", newDisk())
		time.Sleep(10 * time.Minute)
		if got := a.Stats().Reloads; got > 2 {
			t.Errorf("compared %d times", got)
		}
		n.crash()
		time.Sleep(2 * time.Hour)
		if len(etcd.Keys("/tokend/b/v")) != 1 {
			t.Error("the root of the second cluster was deleted")
		}
	})
}
