package simulation

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// script is a schedule that a test writes itself. Its hosts have no clients but those of the test.
type script struct {
	*world
	t   *testing.T
	ctx context.Context

	// request decides the fate of a request to etcd, if it reports true. Guarded by mu.
	request func(*host, kvtest.Request) (kvtest.Fault, bool)
}

// play plays a script of n hosts, whose first customer's token has been read on all hosts. After f,
// all faults end, and everything that must be true at rest is checked.
func play(t *testing.T, n int, f func(*script), change ...func(*plan)) {
	t.Helper()
	p := &plan{seed: 1, style: steered, hosts: n, life: 2 * time.Hour, names: []string{firstCustomer}, oddHost: -1, verbose: testing.Verbose()}
	for _, c := range change {
		c(p)
	}
	synctest.Test(t, func(*testing.T) {
		w := newWorld(p)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := &script{world: w, t: t, ctx: ctx}
		w.script = s
		for _, h := range w.hosts {
			h.start()
		}
		if w.begin(ctx) {
			time.Sleep(time.Second)
			s.readAll()
			w.rest(3 * time.Minute)
			w.mu.Lock()
			w.rounds++
			w.mu.Unlock()
			w.note(nil, "the script begins")
			f(s)
			s.faults(nil)
			w.heal()
			time.Sleep(lateAtMost)
			s.readAll()
			w.rest(10 * time.Minute)
		}
		cancel()
		w.end()
		if t.Failed() || len(w.wrong) > 0 {
			t.Errorf("%s\nbroken:\n%s", w.timeline(), strings.Join(w.wrong, "\n"))
		} else if testing.Verbose() {
			t.Logf("%s", w.timeline())
		}
	})
}

// readAll reads every value on every host. The first host is the last one to read.
func (s *script) readAll() {
	s.t.Helper()
	for _, h := range slices.Backward(s.hosts) {
		for _, name := range s.plan.names {
			s.get(h, name)
		}
	}
}

// faults makes f decide the fate of requests to etcd, if it reports true; nil: nothing does.
func (s *script) faults(f func(*host, kvtest.Request) (kvtest.Fault, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request = f
}

// fate returns the fate of a request to etcd, and whether the script decides it.
func (s *script) fate(h *host, r kvtest.Request) (kvtest.Fault, bool) {
	s.mu.Lock()
	f := s.request
	s.mu.Unlock()
	if f == nil {
		return kvtest.Fault{}, false
	}
	return f(h, r)
}

// at arms a fault at the next nth step of a host.
func (s *script) at(h *host, st step, nth int, v verb, d time.Duration, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, event{verb: v, step: st, nth: s.taken[stepOf{h.i, st}] + nth, host: h.i, d: d, n: n})
}

// engine returns the engine of a host.
func (s *script) engine(h *host) *refresh.Engine {
	s.waitFor(time.Minute, h.name+" is ready", func() bool { p := h.current(); return p != nil && p.engine.Load() != nil })
	return h.current().engine.Load()
}

// get reads a value, which must be valid.
func (s *script) get(h *host, name string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	v, err := s.engine(h).Get(ctx, name)
	if err != nil {
		s.t.Errorf("GET %s on %s: %v", name, h.name, err)
	}
	return string(v.Text)
}

// asks begins a REJECT of the value that a host serves. Its result comes by the channel.
func (s *script) asks(h *host, name string) <-chan error {
	result := make(chan error, 1)
	e := s.engine(h)
	v, _ := e.Cached([]byte(name), e.Now())
	s.note(h, "REJECT %s", s.describe(name, v.Text))
	s.ops.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, 2*time.Minute)
		defer cancel()
		_, err := e.Reject(ctx, name, v.Text)
		s.note(h, "REJECT: %v", err)
		result <- err
	})
	return result
}

// issuedOf returns how many values of a name WeChat has issued.
func (s *script) issuedOf(name string) int {
	v, ok := s.truth.current()[name]
	if !ok {
		return 0
	}
	return v.number + 1
}

// stored returns the value of a name in etcd.
func (s *script) storedValue(name string) string {
	c, _ := record.DecodeCredential(s.stored()[id{record.Credentials, name}])
	return string(c.Value)
}

// waitFor waits until a condition holds, and returns after how long.
func (s *script) waitFor(most time.Duration, what string, holds func() bool) time.Duration {
	s.t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > most {
			s.t.Errorf("not within %v: %s", most, what)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// newest reports whether etcd has WeChat's newest value of a name.
func (s *script) newest(name string) bool {
	return s.storedValue(name) == s.truth.current()[name].value
}

// saw reports whether the timeline has a line with text, and count how many have.
func (s *script) saw(text string) bool { return s.count(text) > 0 }

func (s *script) count(text string) int { return strings.Count(s.timeline(), text) }
