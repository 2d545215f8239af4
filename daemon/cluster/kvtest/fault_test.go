package kvtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster"
)

// world is an Etcd in a bubble, with the connection of one host to the first member.
type world struct {
	*testing.T
	*Etcd
	client *Client
	kv     cluster.KV
}

func inBubble(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		e := New()
		c := e.Client("web1")
		f(&world{t, e, c, c.Dial("etcd1")})
	})
}

// put puts a value with a deadline of 1.5 s.
func (w *world) put(kv cluster.KV, key, value string) error {
	ctx, cancel := context.WithTimeout(w.Context(), 1500*time.Millisecond)
	defer cancel()
	_, err := kv.Txn(ctx, cluster.Txn{Then: []cluster.Op{put(key, value, 0)}})
	return err
}

// mustPut puts a value by a client without faults.
func (w *world) mustPut(key, value string) {
	w.Helper()
	if err := w.put(w.Client("other").Dial("etcd2"), key, value); err != nil {
		w.Fatal(err)
	}
}

// state checks which keys are present.
func (w *world) state(when string, want ...string) {
	w.Helper()
	synctest.Wait()
	var got []string
	for _, kv := range w.Keys("") {
		got = append(got, kv.Key+"="+string(kv.Value))
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s: got %q, want %q", when, got, want)
	}
}

// follow begins a watch of all keys. The function that it returns checks what the watch has yielded
// since it was called last.
func (w *world) follow(from int64) func(when string, want ...string) {
	var (
		mu  sync.Mutex
		got []string
	)
	go func() {
		for changes, err := range w.kv.Watch(w.Context(), "", from) {
			mu.Lock()
			for _, kv := range changes {
				got = append(got, describe(kv))
			}
			if err != nil && w.Context().Err() == nil {
				got = append(got, err.Error())
			}
			mu.Unlock()
		}
	}()
	synctest.Wait()
	return func(when string, want ...string) {
		w.Helper()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, want) {
			w.Errorf("%s: watch yielded %q, want %q", when, got, want)
		}
		got = nil
	}
}

// TestFaults lets one request fail in each way.
func TestFaults(t *testing.T) {
	denied := fmt.Errorf("%w: user web1", cluster.ErrDenied)
	for _, c := range []struct {
		name  string
		fault Fault
		took  time.Duration // until the client has an answer or gives up
		err   error
		after map[time.Duration]int64 // from then on, the version of the key
	}{
		{"none", Fault{}, 0, nil, map[time.Duration]int64{0: 1, time.Hour: 1}},
		{"refused", Fault{Refuse: denied}, 0, cluster.ErrDenied, map[time.Duration]int64{0: 0, time.Hour: 0}},
		{"lost", Fault{Lost: true}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{time.Hour: 0}},
		{"unseen", Fault{Unseen: true}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{0: 1}},
		{"delayed", Fault{Delay: time.Second}, time.Second, nil, map[time.Duration]int64{0: 1}},
		{"late", Fault{Delay: time.Minute}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{0: 0, 58 * time.Second: 0, 59 * time.Second: 1}},
		{"late and unseen", Fault{Delay: time.Second, Unseen: true}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{0: 1}},
		{"slow answer", Fault{Answer: time.Second}, time.Second, nil, map[time.Duration]int64{0: 1}},
		{"answer too slow", Fault{Answer: 2 * time.Second}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{0: 1}},
		{"doubled", Fault{Again: 5 * time.Second}, 0, nil, map[time.Duration]int64{0: 1, 4 * time.Second: 1, 6 * time.Second: 2}},
		{"delayed and doubled", Fault{Delay: time.Second, Again: 5 * time.Second}, time.Second, nil, map[time.Duration]int64{0: 1, 4 * time.Second: 1, 6 * time.Second: 2}},
		{"frozen", Fault{Frozen: true}, 1500 * time.Millisecond, cluster.ErrUnknown, map[time.Duration]int64{0: 0, 29 * time.Second: 0, 31 * time.Second: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.client.Faults(func(r Request) Fault {
					if r.Method != Txn || r.Endpoint != "etcd1" || r.Txn.Then[0].Key != "k" {
						w.Errorf("asked about %+v", r)
					}
					return c.fault
				})
				start := time.Now()
				if err := w.put(w.kv, "k", "1"); !errors.Is(err, c.err) {
					w.Errorf("got %v, want %v", err, c.err)
				}
				if took := time.Since(start); took != c.took {
					w.Errorf("answered after %v, want %v", took, c.took)
				}
				thaw := time.AfterFunc(30*time.Second, w.client.Thaw)
				defer thaw.Stop()
				answered := time.Now()
				for _, after := range slices.Sorted(maps.Keys(c.after)) {
					time.Sleep(after - time.Since(answered))
					synctest.Wait()
					var version int64
					for _, kv := range w.Keys("k") {
						version = kv.Version
					}
					if version != c.after[after] {
						w.Errorf("%v after the answer: version %d, want %d", after, version, c.after[after])
					}
				}
			})
		})
	}
}

// TestFaultChangesEtcd lets another host win between the decision to send and the arrival.
func TestFaultChangesEtcd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.client.Faults(func(Request) Fault {
			w.mustPut("k", "other")
			return Fault{}
		})
		o, err := w.kv.Txn(w.Context(), cluster.Txn{
			If:   []cluster.Compare{{Key: "k"}},
			Then: []cluster.Op{put("k", "mine", 0)},
			Else: []cluster.Op{get("k")},
		})
		if err != nil || o.Held || string(o.Got[0].Value) != "other" {
			w.Errorf("got %+v, %v", o, err)
		}
		w.client.Faults(nil)
		w.state("at last", "k=other")
	})
}

// TestCut cuts a host off: before a request, and between a request and its answer.
func TestCut(t *testing.T) {
	inBubble(t, func(w *world) {
		watched := w.follow(1)
		w.client.Cut()
		if err := w.put(w.kv, "a", "lost"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("got %v", err)
		}
		w.mustPut("b", "1")
		watched("cut off")
		w.state("cut off", "b=1")
		w.client.Heal()
		watched("healed", "b=1@2")
		w.client.Faults(func(Request) Fault { return Fault{Answer: time.Second} })
		cut := time.AfterFunc(500*time.Millisecond, w.client.Cut)
		defer cut.Stop()
		if err := w.put(w.kv, "c", "1"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("answer cut off: got %v", err)
		}
		w.state("cut off again", "b=1", "c=1")
	})
}

// TestFreeze freezes what a host sends and receives. It arrives after the thaw, in order.
func TestFreeze(t *testing.T) {
	inBubble(t, func(w *world) {
		watched := w.follow(1)
		w.client.Freeze()
		for _, value := range []string{"1", "2"} {
			if err := w.put(w.kv, "a", value); !errors.Is(err, cluster.ErrUnknown) {
				w.Errorf("got %v", err)
			}
		}
		w.mustPut("b", "1")
		watched("frozen")
		w.state("frozen", "b=1")
		w.client.Thaw()
		watched("thawed", "b=1@2", "a=1@3", "a=2@4")

		// A freeze that ends in time delays the answer.
		w.client.Freeze()
		thaw := time.AfterFunc(time.Second, w.client.Thaw)
		defer thaw.Stop()
		start := time.Now()
		if err := w.put(w.kv, "a", "3"); err != nil || time.Since(start) != time.Second {
			w.Errorf("got %v after %v", err, time.Since(start))
		}
		w.client.Faults(func(Request) Fault { return Fault{Answer: time.Second} })
		frozen := time.AfterFunc(500*time.Millisecond, w.client.Freeze)
		defer frozen.Stop()
		thaw.Reset(1200 * time.Millisecond)
		start = time.Now()
		if err := w.put(w.kv, "a", "4"); err != nil || time.Since(start) != 1200*time.Millisecond {
			w.Errorf("answer frozen: got %v after %v", err, time.Since(start))
		}
	})
}

// TestMemberFrozen freezes the member that a host uses. Others work.
func TestMemberFrozen(t *testing.T) {
	inBubble(t, func(w *world) {
		watched := w.follow(1)
		w.Freeze("etcd1")
		if err := w.put(w.kv, "a", "1"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("got %v", err)
		}
		w.mustPut("b", "1")
		watched("frozen")
		w.state("frozen", "b=1")
		if err := w.put(w.client.Dial("etcd3"), "c", "1"); err != nil {
			w.Errorf("another member: %v", err)
		}
		w.Start("etcd1")
		w.state("started", "a=1", "b=1", "c=1")
		watched("started", "b=1@2", "c=1@3", "a=1@4")
	})
}

// TestMemberStopped stops the member that a host uses. Requests that a frozen member holds are lost
// when it is stopped.
func TestMemberStopped(t *testing.T) {
	inBubble(t, func(w *world) {
		watched := w.follow(1)
		w.Freeze("etcd1")
		if err := w.put(w.kv, "a", "1"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("got %v", err)
		}
		w.Stop("etcd1")
		start := time.Now()
		if err := w.put(w.kv, "b", "1"); !errors.Is(err, cluster.ErrUnknown) || time.Since(start) != 0 {
			w.Errorf("got %v after %v, want the outcome unknown at once", err, time.Since(start))
		}
		w.mustPut("c", "1")
		watched("stopped")
		w.Start("etcd1")
		watched("started", "c=1@2")
		w.state("started", "c=1")
	})
}

// TestQuorumRegained checks that requests that waited for a quorum are applied, and that two
// members make one.
func TestQuorumRegained(t *testing.T) {
	inBubble(t, func(w *world) {
		w.StopQuorum()
		if err := w.put(w.kv, "a", "1"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		w.state("without quorum")
		w.Start("etcd3")
		w.state("with quorum", "a=1")
		w.Freeze("etcd3")
		if err := w.put(w.kv, "b", "1"); !errors.Is(err, cluster.ErrUnknown) {
			w.Errorf("one stopped, one frozen: got %v", err)
		}
	})
}

// TestExpire ends a session before its time.
func TestExpire(t *testing.T) {
	inBubble(t, func(w *world) {
		l, _, err := w.kv.Grant(w.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.kv.Txn(w.Context(), cluster.Txn{Then: []cluster.Op{put("m", "1", l), put("n", "1", l), put("o", "1", 0)}}); err != nil {
			t.Fatal(err)
		}
		if w.Expire("o") || w.Expire("never") || !w.Expire("m") {
			t.Error("want the lease of m alone to end")
		}
		w.state("expired", "o=1")
		if _, err := w.kv.KeepAlive(w.Context(), l); !errors.Is(err, cluster.ErrNoLease) {
			t.Errorf("keep-alive: got %v", err)
		}
	})
}

// TestWatchFaults silences, delays and ends watches.
func TestWatchFaults(t *testing.T) {
	inBubble(t, func(w *world) {
		watched := w.follow(1)
		w.client.MuteWatches()
		w.mustPut("a", "1")
		watched("mute")
		w.client.UnmuteWatches()
		watched("no longer mute", "a=1@2")

		w.client.Lag(3 * time.Second)
		w.mustPut("a", "2")
		time.Sleep(time.Second)
		w.mustPut("a", "3")
		time.Sleep(2*time.Second - 1)
		watched("before the lag")
		time.Sleep(time.Nanosecond)
		watched("after the lag", "a=2@3")
		time.Sleep(time.Second)
		watched("a second later", "a=3@4")
		w.client.Lag(0)

		w.client.MuteWatches()
		w.mustPut("a", "4")
		w.mustPut("a", "5")
		if err := w.Compact(w.Revision()); err != nil {
			t.Fatal(err)
		}
		w.client.UnmuteWatches()
		watched("compacted", (&cluster.CompactedError{Revision: 6}).Error())

		watched = w.follow(6)
		w.client.BreakWatches()
		watched("broken", "a=5@6", errBroken.Error())
		watched = w.follow(7)
		w.mustPut("a", "6")
		watched("again", "a=6@7")
	})
}
