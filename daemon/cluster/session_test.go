package cluster_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/cluster/seal"
	"tokend/fetchers/secret"
)

// host is a host with its sessions in a bubble.
type host struct {
	*cluster.Sessions
	t      *testing.T
	client *kvtest.Client
	link   *cluster.Link
	clock  *clock.Clock
	stop   context.CancelFunc
	done   chan struct{}
	err    error // valid when done is closed
}

// start starts a host of a machine. timeout is that of a call to WeChat.
func start(t *testing.T, etcd *kvtest.Etcd, name, machine string, timeout time.Duration) *host {
	t.Helper()
	sealer, err := seal.New(secret.Text(strings.Repeat("s", seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, client: etcd.Client(name + "/" + machine), clock: clock.New(nil), done: make(chan struct{})}
	h.link = cluster.NewLink(etcd.Endpoints(), func(endpoint string) (cluster.KV, error) { return h.client.Dial(endpoint), nil })
	h.Sessions, err = cluster.NewSessions(cluster.SessionConfig{
		Prefix: "/tokend", Host: name, Timeout: timeout,
		Presence: cluster.Presence{Machine: machine, Boot: "b1", PID: 7, Version: "1.4.0", Formats: 1},
		Link:     h.link, Sealer: sealer, Clock: h.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.stop = cancel
	var wg sync.WaitGroup
	wg.Go(func() { h.err = h.Run(ctx); close(h.done) })
	t.Cleanup(func() { cancel(); wg.Wait(); h.link.Close() })
	synctest.Wait()
	return h
}

// session returns the host's session, which must be there.
func (h *host) session(when string) cluster.Session {
	h.t.Helper()
	synctest.Wait()
	s, ok := h.Current()
	if !ok {
		h.t.Fatalf("%s: no session", when)
	}
	return s
}

// none checks that the host has no session.
func (h *host) none(when string) {
	h.t.Helper()
	synctest.Wait()
	if s, ok := h.Current(); ok {
		h.t.Fatalf("%s: got session %+v, want none", when, s)
	}
}

// left is until when the session lasts at least, from now.
func (h *host) left() time.Duration {
	s, _ := h.Current()
	return s.Until.Sub(h.clock.Now())
}

// presence returns the presence key of web1.
func presence(etcd *kvtest.Etcd) cluster.KeyValue {
	for _, kv := range etcd.Keys("/tokend/m/web1") {
		return kv
	}
	return cluster.KeyValue{}
}

// TestSession checks what a session is in etcd, and how long it lasts.
func TestSession(t *testing.T) {
	for _, c := range []struct{ timeout, ttl time.Duration }{
		{time.Second, 15 * time.Second},
		{5 * time.Second, 15 * time.Second},
		{20 * time.Second, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			etcd := kvtest.New()
			h := start(t, etcd, "web1", "m1", c.timeout)
			s := h.session("at the start")
			kv := presence(etcd)
			if kv.Created != s.Epoch || kv.Version != 1 || kv.Lease == 0 {
				t.Errorf("got %+v, want created at the epoch %d, with a lease", kv, s.Epoch)
			}
			sealer, err := seal.New(secret.Text(strings.Repeat("s", seal.SecretSize)))
			if err != nil {
				t.Fatal(err)
			}
			name, p, err := cluster.OpenPresence(sealer, kv)
			if want := (cluster.Presence{Machine: "m1", Boot: "b1", PID: 7, Version: "1.4.0", Formats: 1}); err != nil || name != "web1" || p != want {
				t.Errorf("got %q, %+v, %v, want %+v", name, p, err, want)
			}
			if got, want := h.left(), c.ttl-time.Second; got != want {
				t.Errorf("timeout %v: lasts for %v, want %v", c.timeout, got, want)
			}
			now := h.clock.Now()
			if !s.Covers(now, c.ttl-time.Second) || s.Covers(now, c.ttl) {
				t.Errorf("covers %v: %v, %v: %v", c.ttl-time.Second, s.Covers(now, c.ttl-time.Second), c.ttl, s.Covers(now, c.ttl))
			}
			for range 600 {
				time.Sleep(time.Second)
				if got := h.session("later"); got.Epoch != s.Epoch || h.left() < c.ttl-c.ttl/5-time.Second {
					t.Fatalf("got epoch %d, %v left, want epoch %d", got.Epoch, h.left(), s.Epoch)
				}
			}
			if h.Begun() != 1 || h.link.Moves() != 0 {
				t.Errorf("got %d sessions, %d moves", h.Begun(), h.link.Moves())
			}
		})
	}
}

// TestCleanStop checks that a host that stops ends its session.
func TestCleanStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		h := start(t, etcd, "web1", "m1", 5*time.Second)
		h.stop()
		<-h.done
		if h.err != nil || presence(etcd).Present() {
			t.Errorf("got %v, presence %+v", h.err, presence(etcd))
		}
		h.none("stopped")
	})
}

// TestStopWhileBeginning stops a host whose presence key was created without an answer.
func TestStopWhileBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		etcd.Client("web1/m1").Faults(func(r kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Unseen: r.Method == kvtest.Txn && len(r.Txn.If) > 0}
		})
		h := start(t, etcd, "web1", "m1", 5*time.Second)
		if !presence(etcd).Present() {
			t.Fatal("no presence key")
		}
		h.none("without an answer")
		h.stop()
		<-h.done
		if h.err != nil || presence(etcd).Present() {
			t.Errorf("got %v, presence %+v", h.err, presence(etcd))
		}
	})
}

// TestUntilFromSent checks that a session lasts no longer than from the sending of the last
// answered keep-alive, and that etcd does not end it before.
func TestUntilFromSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		h := start(t, etcd, "web1", "m1", 5*time.Second)
		h.client.Faults(func(kvtest.Request) kvtest.Fault {
			return kvtest.Fault{Delay: time.Second / 2, Answer: time.Second / 2}
		})
		time.Sleep(3*time.Second + 900*time.Millisecond)
		before := h.session("before the answer")
		time.Sleep(200 * time.Millisecond)
		after := h.session("after the answer")
		if got := after.Until.Sub(before.Until); got != 3*time.Second {
			t.Errorf("extended by %v, want by the time between the requests", got)
		}
		h.client.Faults(func(kvtest.Request) kvtest.Fault { return kvtest.Fault{Lost: true} })
		for h.left() > 0 {
			if !presence(etcd).Present() {
				t.Fatalf("etcd ended the session %v before its end here", h.left())
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := h.session("at the end"); got.Until != after.Until || got.Epoch != after.Epoch {
			t.Errorf("got %+v, want still %+v", got, after)
		}
	})
}

// TestEndpointFrozen freezes the endpoint in use. The session is extended at the next one.
func TestEndpointFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		h := start(t, etcd, "web1", "m1", 5*time.Second)
		first := h.session("at the start")
		for i, frozen := range []string{"etcd1", "etcd2", "etcd3", "etcd1"} {
			etcd.Freeze(frozen)
			for range 300 {
				time.Sleep(100 * time.Millisecond)
				if s := h.session(frozen + " frozen"); s.Epoch != first.Epoch || !s.Covers(h.clock.Now(), 8*time.Second) {
					t.Fatalf("%s frozen: got %+v, %v left, want epoch %d", frozen, s, h.left(), first.Epoch)
				}
			}
			if h.link.Moves() != i+1 {
				t.Errorf("%s frozen: moved %d times, want %d", frozen, h.link.Moves(), i+1)
			}
			etcd.Start(frozen)
		}
	})
}

// TestSessionExpires ends sessions in each way. Another one begins, with another epoch.
func TestSessionExpires(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(etcd *kvtest.Etcd, h *host)
		heal  func(etcd *kvtest.Etcd, h *host)
		after time.Duration // until the new session
	}{
		{"by etcd", func(etcd *kvtest.Etcd, _ *host) { etcd.Expire("/tokend/m/web1") }, nil, 3 * time.Second},
		{"cut off", func(_ *kvtest.Etcd, h *host) { h.client.Cut(); time.Sleep(25 * time.Second) }, func(_ *kvtest.Etcd, h *host) { h.client.Heal() }, 2 * time.Second},
		{"frozen", func(_ *kvtest.Etcd, h *host) { h.client.Freeze(); time.Sleep(25 * time.Second) }, func(_ *kvtest.Etcd, h *host) { h.client.Thaw() }, 2 * time.Second},
		{"key deleted", func(etcd *kvtest.Etcd, h *host) {
			kv := etcd.Client("operator").Dial("etcd1")
			if err := kv.Revoke(h.t.Context(), presence(etcd).Lease); err != nil {
				h.t.Fatal(err)
			}
		}, nil, 3 * time.Second},
		{"restored from a backup", nil, func(etcd *kvtest.Etcd, h *host) {
			backup := etcd.Backup()
			etcd.Expire("/tokend/m/web1")
			time.Sleep(4 * time.Second)
			etcd.Restore(backup, true)
		}, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				h := start(t, etcd, "web1", "m1", 5*time.Second)
				first := h.session("at the start")
				if c.end != nil {
					c.end(etcd, h)
				}
				if presence(etcd).Created == first.Epoch && c.heal == nil {
					t.Fatal("the session has not ended")
				}
				if c.heal != nil {
					c.heal(etcd, h)
				}
				time.Sleep(c.after)
				s := h.session("afterwards")
				if s.Epoch == first.Epoch || presence(etcd).Created != s.Epoch || h.Begun() < 2 {
					t.Errorf("got %+v after %+v, presence %+v", s, first, presence(etcd))
				}
			})
		})
	}
}

// TestQuorumLost checks that a session survives the loss of the quorum, but covers no call for so
// long.
func TestQuorumLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		h := start(t, etcd, "web1", "m1", 5*time.Second)
		first := h.session("at the start")
		etcd.StopQuorum()
		time.Sleep(time.Minute)
		if s := h.session("without quorum"); s.Covers(h.clock.Now(), 0) {
			t.Errorf("without quorum: %v left", h.left())
		}
		etcd.StartQuorum()
		time.Sleep(2 * time.Second)
		if s := h.session("with quorum"); s.Epoch != first.Epoch || h.left() < 10*time.Second {
			t.Errorf("got %+v, %v left, want epoch %d", s, h.left(), first.Epoch)
		}
	})
}

// TestAttemptsWithoutAnswer begins a session while requests have no answer. There is one epoch, and
// it is that of the presence key.
func TestAttemptsWithoutAnswer(t *testing.T) {
	for name, fault := range map[string]kvtest.Fault{
		"lost":    {Lost: true},
		"unseen":  {Unseen: true},
		"late":    {Delay: 2 * time.Second},
		"doubled": {Again: 2 * time.Second},
	} {
		for _, method := range []kvtest.Method{kvtest.Grant, kvtest.Txn} {
			synctest.Test(t, func(t *testing.T) {
				etcd := kvtest.New()
				n := 0
				etcd.Client("web1/m1").Faults(func(r kvtest.Request) kvtest.Fault {
					if r.Method != method || method == kvtest.Txn && len(r.Txn.If) == 0 {
						return kvtest.Fault{}
					}
					if n++; n > 1 {
						return kvtest.Fault{}
					}
					return fault
				})
				h := start(t, etcd, "web1", "m1", 5*time.Second)
				time.Sleep(4 * time.Second)
				s := h.session(name)
				if kv := presence(etcd); kv.Created != s.Epoch || kv.Version != 1 || h.Begun() != 1 {
					t.Errorf("%s: got %+v, presence %+v, %d sessions", name, s, kv, h.Begun())
				}
				time.Sleep(time.Minute)
				if got := h.session("a minute later"); got.Epoch != s.Epoch {
					t.Errorf("%s: epoch changed from %d to %d", name, s.Epoch, got.Epoch)
				}
			})
		}
	}
}

// TestSameMachine starts a second process with the machine ID and name of a first one. It takes
// over at once, and keeps the name.
func TestSameMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := start(t, etcd, "web1", "m1", 5*time.Second)
		first := a.session("first")
		b := start(t, etcd, "web1", "m1", 5*time.Second)
		second := b.session("second")
		if kv := presence(etcd); second.Epoch == first.Epoch || kv.Created != second.Epoch {
			t.Errorf("got %+v after %+v, presence %+v", second, first, kv)
		}
		time.Sleep(10 * time.Minute)
		a.none("the first process")
		if s := b.session("10 minutes later"); s.Epoch != second.Epoch {
			t.Errorf("the first process has ended the second one's session: %+v, then %+v", second, s)
		}
		b.stop()
		<-b.done
		time.Sleep(time.Second)
		a.session("after the second has stopped")
	})
}

// TestHostTaken starts a host whose name another machine uses. Machines without an ID are others.
func TestHostTaken(t *testing.T) {
	t.Run("another ID", func(t *testing.T) { testHostTaken(t, "m1", "m2") })
	t.Run("no ID", func(t *testing.T) { testHostTaken(t, "", "") })
}

func testHostTaken(t *testing.T, one, other string) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := start(t, etcd, "web1", one, 5*time.Second)
		first := a.session("first")
		b := start(t, etcd, "web1", other, 5*time.Second)
		began := time.Now()
		select {
		case <-b.done:
		case <-time.After(time.Minute):
			t.Fatal("not refused")
		}
		taken, ok := errors.AsType[*cluster.HostTakenError](b.err)
		if !ok || taken.Error() != "host name web1 is in use by another machine: set [cluster] host" {
			t.Errorf("got %v", b.err)
		}
		if took := time.Since(began); took < 15*time.Second || took > 17*time.Second {
			t.Errorf("refused after %v, want a little more than the life of a session", took)
		}
		if s := a.session("afterwards"); s.Epoch != first.Epoch || a.Begun() != 1 {
			t.Errorf("the first host's session: %+v, then %+v", first, s)
		}
	})
}

// TestMachineReplaced starts a host whose name a machine used that has died.
func TestMachineReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := start(t, etcd, "web1", "m1", 5*time.Second)
		a.client.Cut()
		b := start(t, etcd, "web1", "m2", 5*time.Second)
		b.none("at the start")
		time.Sleep(16 * time.Second)
		second := b.session("after the other's end")
		a.client.Heal()
		time.Sleep(10 * time.Minute)
		a.none("the first machine, healed")
		if s := b.session("10 minutes later"); s.Epoch != second.Epoch {
			t.Errorf("the first machine has ended the second one's session: %+v, then %+v", second, s)
		}
		select {
		case <-a.done:
			t.Errorf("the first machine has stopped: %v", a.err)
		default:
		}
	})
}

// TestNoSpaceSession checks that a full etcd ends no session and begins none.
func TestNoSpaceSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := kvtest.New()
		a := start(t, etcd, "web1", "m1", 5*time.Second)
		first := a.session("before")
		etcd.Fill()
		b := start(t, etcd, "web2", "m2", 5*time.Second)
		time.Sleep(time.Minute)
		b.none("while etcd is full")
		if s := a.session("while etcd is full"); s.Epoch != first.Epoch || a.left() < 10*time.Second {
			t.Errorf("got %+v, %v left, want epoch %d", s, a.left(), first.Epoch)
		}
		etcd.Free()
		time.Sleep(time.Second)
		b.session("with space")
	})
}
