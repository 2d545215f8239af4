package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
)

// read reads the latest revision through a link.
func read(ctx context.Context, l *cluster.Link) error {
	return l.Do(ctx, func(ctx context.Context, kv cluster.KV) error {
		_, err := kv.Range(ctx, cluster.Range{Prefix: "/"})
		return err
	})
}

// TestLinkMoves checks after which requests a link moves, and how long each takes.
func TestLinkMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		client := etcd.Client("web1")
		dialed := map[string]int{}
		link := cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) {
			dialed[endpoint]++
			if endpoint == "etcd3" {
				return nil, errors.New("no such host")
			}
			return client.Dial(endpoint), nil
		})
		step := func(what string, want error, moves int, took time.Duration, do func() error) {
			t.Helper()
			start := time.Now()
			if err := do(); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
			if got := time.Since(start); got != took || link.Moves() != moves {
				t.Errorf("%s: took %v, %d moves, want %v and %d", what, got, link.Moves(), took, moves)
			}
		}
		ask := func() error { return read(t.Context(), link) }
		step("answered", nil, 0, 0, ask)
		client.Faults(func(kvtest.Request) kvtest.Fault { return kvtest.Fault{Refuse: cluster.ErrDenied} })
		step("refused", cluster.ErrDenied, 0, 0, ask)
		client.Faults(nil)

		etcd.Freeze("etcd1")
		step("the caller gives up", context.DeadlineExceeded, 0, time.Second, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return read(ctx, link)
		})
		step("several without an answer", nil, 1, 1500*time.Millisecond, func() error {
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if err := ask(); !errors.Is(err, cluster.ErrUnknown) {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			return nil
		})
		step("another endpoint", nil, 1, 0, ask)
		etcd.Stop("etcd2")
		etcd.Start("etcd1")
		step("connection refused", cluster.ErrUnknown, 2, 0, ask)
		if err := ask(); err == nil || link.Moves() != 3 {
			t.Errorf("not dialed: got %v, %d moves, want the third", err, link.Moves())
		}
		step("the first endpoint again", nil, 3, 0, ask)
		if got, want := fmt.Sprint(dialed), "map[etcd1:2 etcd2:1 etcd3:1]"; got != want {
			t.Errorf("dialed %s, want %s", got, want)
		}
	})
}

// TestLinkMoveEndsWatch checks that a move ends what runs on the old client.
func TestLinkMoveEndsWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		client := etcd.Client("web1")
		link := cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) { return client.Dial(endpoint), nil })
		ended := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			var kv cluster.KV
			_ = link.Do(t.Context(), func(_ context.Context, current cluster.KV) error { kv = current; return nil })
			close(ready)
			for _, err := range kv.Watch(t.Context(), "/", 1) {
				ended <- err
			}
		}()
		<-ready
		etcd.Freeze("etcd1")
		start := time.Now()
		if err := read(t.Context(), link); !errors.Is(err, cluster.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		if err := <-ended; !errors.Is(err, cluster.ErrUnknown) || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("watch: got %v after %v", err, time.Since(start))
		}
	})
}

// TestLinkClosed checks that a closed link makes no requests.
func TestLinkClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		link := cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) { return etcd.Client("web1").Dial(endpoint), nil })
		if err := read(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		etcd.StopQuorum()
		waiting := make(chan error, 1)
		go func() { waiting <- read(t.Context(), link) }()
		synctest.Wait()
		link.Close()
		if err := <-waiting; !errors.Is(err, cluster.ErrUnknown) {
			t.Errorf("under way: got %v", err)
		}
		etcd.StartQuorum()
		if err := read(t.Context(), link); err == nil || cluster.Refused(err) {
			t.Errorf("afterwards: got %v, want an error of unknown outcome", err)
		}
		if link.Moves() != 0 {
			t.Errorf("moved %d times", link.Moves())
		}
	})
}
