package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/clock"
	"tokend/daemon/cluster/seal"
)

// Session is a period in which a host may claim. etcd ends it if the host stops extending it, and
// may end it for no reason.
type Session struct {
	// Epoch is the revision that created the host's presence key. No other session has it. A
	// transaction that compares the key's Created with it fails as soon as the session has ended.
	Epoch int64

	// Until is until when the session lasts at least, unless etcd ends it for no reason.
	Until clock.Instant

	// Lease is what keys are attached to that end with the session.
	Lease Lease
}

// Covers reports whether the session outlasts a call of length d that begins now.
func (s Session) Covers(now clock.Instant, d time.Duration) bool { return s.Until.Sub(now) >= d }

const (
	// minTTL is the shortest life of a session.
	minTTL = 15 * time.Second

	// margin is subtracted from the life of a session, for the drift of clocks.
	margin = time.Second

	// sessionPause is between two attempts to begin or to extend a session.
	sessionPause = 200 * time.Millisecond
)

// SessionConfig is what [Sessions] need.
type SessionConfig struct {
	Prefix   string // of the cluster's keys
	Host     string
	Presence Presence

	// Timeout is that of a call to WeChat. A session lasts three times as long.
	Timeout time.Duration

	Link   *Link
	Sealer *seal.Sealer
	Clock  *clock.Clock
	Logger hclog.Logger // nil: none
}

// Sessions gives a host one session after the other. Create Sessions with NewSessions.
type Sessions struct {
	cfg   SessionConfig
	ttl   time.Duration
	key   string
	value []byte
	log   hclog.Logger

	own leases // those that this process was granted; used by Run alone

	free chan struct{} // closed when it is known that no other machine uses the host's name

	current atomic.Pointer[Session]
	begun   atomic.Int64
}

// NewSessions returns the Sessions of a host. Run begins the first one.
func NewSessions(cfg SessionConfig) (*Sessions, error) {
	s := &Sessions{
		cfg: cfg,
		ttl: max(minTTL, 3*cfg.Timeout),
		key: presenceKey(cfg.Prefix, cfg.Host),
		log: cfg.Logger,

		free: make(chan struct{}),
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	var err error
	s.value, err = sealPresence(cfg.Sealer, s.key, cfg.Host, cfg.Presence)
	return s, err
}

// Current returns the session, and whether there is one. It may have passed its Until.
func (s *Sessions) Current() (Session, bool) {
	if c := s.current.Load(); c != nil {
		return *c, true
	}
	return Session{}, false
}

// Begun returns how many sessions have begun.
func (s *Sessions) Begun() int64 { return s.begun.Load() }

// HostTakenError is returned if another machine uses the host's name.
type HostTakenError struct{ Host string }

func (e *HostTakenError) Error() string {
	return fmt.Sprintf("host name %s is in use by another machine: set [cluster] host", e.Host)
}

// Run begins a session whenever there is none, and extends it until ctx is done. Then it ends the
// session, so answers must be stored before. It fails with a [*HostTakenError] if another machine
// has had the host's name for one life of a session and this host has not had a session yet.
func (s *Sessions) Run(ctx context.Context) error {
	for start := true; ; start = false {
		lease, err := s.begin(ctx, start)
		if err != nil {
			return err
		}
		if lease != 0 {
			s.extend(ctx, lease)
			s.current.Store(nil)
		}
		if ctx.Err() != nil {
			return s.end(ctx, lease)
		}
	}
}

// begin begins a session and returns its lease, or zero if ctx is done. start reports that this
// process has not had a session yet.
func (s *Sessions) begin(ctx context.Context, start bool) (Lease, error) {
	var taken bool          // by another process
	var since clock.Instant // if taken
	warned := false
	for ctx.Err() == nil {
		present, err := s.read(ctx)
		ours := err == nil && present.Present() && (s.own.has(present.Lease) || start && s.sameMachine(present))
		if start && err == nil && (ours || !present.Present()) {
			s.freed()
		}
		if err == nil && !present.Present() {
			var lease Lease
			if lease, err = s.create(ctx); lease != 0 {
				return lease, nil
			}
		}
		switch {
		case err != nil:
			level := hclog.Warn
			if warned {
				level = hclog.Debug
			}
			s.log.Log(level, "no session: this host cannot claim", "error", err)
			warned = true
		case !present.Present(): // another process was faster
			taken = false
			continue
		case ours:
			// A put over the key would keep its epoch.
			err := s.revoke(ctx, present.Lease)
			if err == nil {
				continue
			}
			s.log.Debug("the previous session was not ended", "error", err)
		case !taken:
			taken, since = true, s.cfg.Clock.Now()
			s.log.Warn("the host name is in use: waiting for the end of the other session", "host", s.cfg.Host)
		case start && s.cfg.Clock.Now().Sub(since) >= s.ttl+margin: // etcd ends a lease a little late
			return 0, &HostTakenError{s.cfg.Host}
		}
		pause(ctx, sessionPause)
	}
	return 0, nil
}

// freed notes that no other machine uses the host's name.
func (s *Sessions) freed() {
	select {
	case <-s.free:
	default:
		close(s.free)
	}
}

// read returns the presence key.
func (s *Sessions) read(ctx context.Context) (KeyValue, error) {
	o, err := s.cfg.Link.txn(ctx, Txn{Then: []Op{{Verb: Get, Key: s.key}}})
	if err != nil {
		return KeyValue{}, err
	}
	return o.Got[0], nil
}

// sameMachine reports whether a presence is of this machine.
func (s *Sessions) sameMachine(kv KeyValue) bool {
	_, p, err := OpenPresence(s.cfg.Sealer, kv)
	return err == nil && p.Machine == s.cfg.Presence.Machine && p.Machine != ""
}

// create creates the presence key. It returns zero if another process was faster.
func (s *Sessions) create(ctx context.Context) (created Lease, err error) {
	sent := s.cfg.Clock.Now()
	var lease Lease
	var ttl time.Duration
	err = s.cfg.Link.Do(ctx, func(ctx context.Context, kv KV) (err error) {
		lease, ttl, err = kv.Grant(ctx, s.ttl)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.own.add(lease)
	defer func() {
		if created == 0 { // an attempt without an answer may have been applied
			_ = s.revoke(context.WithoutCancel(ctx), lease)
		}
	}()
	t := Txn{
		If:   []Compare{{Key: s.key, Field: Version, Value: 0}},
		Then: []Op{{Verb: Put, Key: s.key, Value: s.value, Lease: lease}},
		Else: []Op{{Verb: Get, Key: s.key}},
	}
	for {
		o, err := s.cfg.Link.txn(ctx, t)
		switch {
		case err == nil && o.Held:
			s.started(Session{Epoch: o.Revision, Until: until(sent, ttl), Lease: lease})
			return lease, nil
		case err == nil && o.Got[0].Lease == lease: // an attempt without an answer was applied
			s.started(Session{Epoch: o.Got[0].Created, Until: until(sent, ttl), Lease: lease})
			return lease, nil
		case err == nil:
			return 0, nil
		case Refused(err) || ctx.Err() != nil:
			return 0, err
		}
		pause(ctx, sessionPause)
	}
}

func (s *Sessions) started(c Session) {
	s.current.Store(&c)
	s.begun.Add(1)
	s.log.Info("session begun", "host", s.cfg.Host, "epoch", c.Epoch)
}

// until is the end of a life that was requested at sent. When etcd began to count is not known.
func until(sent clock.Instant, ttl time.Duration) clock.Instant { return sent.Add(ttl - margin) }

// extend extends the session until it has ended or ctx is done.
func (s *Sessions) extend(ctx context.Context, lease Lease) {
	for begun := time.Now(); pause(ctx, time.Until(begun.Add(s.ttl/5))); {
		begun = time.Now()
		for ctx.Err() == nil {
			err := s.keepAlive(ctx, lease)
			if err == nil {
				break
			}
			if errors.Is(err, ErrNoLease) {
				s.log.Warn("session ended by etcd", "host", s.cfg.Host)
				return
			}
			s.log.Debug("session not extended", "error", err)
			pause(ctx, sessionPause)
		}
	}
}

// keepAlive extends the session once.
func (s *Sessions) keepAlive(ctx context.Context, lease Lease) error {
	sent := s.cfg.Clock.Now()
	var ttl time.Duration
	err := s.cfg.Link.Do(ctx, func(ctx context.Context, kv KV) (err error) {
		ttl, err = kv.KeepAlive(ctx, lease)
		return err
	})
	if err == nil {
		s.current.Store(&Session{Epoch: s.current.Load().Epoch, Until: until(sent, ttl), Lease: lease})
	}
	return err
}

// end ends a session after ctx is done. If etcd does not answer, the session ends by itself.
func (s *Sessions) end(ctx context.Context, lease Lease) error {
	if lease == 0 {
		return nil
	}
	if err := s.revoke(context.WithoutCancel(ctx), lease); err != nil && !errors.Is(err, ErrNoLease) {
		s.log.Warn("session not ended: peers wait for its end", "error", err)
	}
	return nil
}

func (s *Sessions) revoke(ctx context.Context, lease Lease) error {
	return s.cfg.Link.Do(ctx, func(ctx context.Context, kv KV) error { return kv.Revoke(ctx, lease) })
}
