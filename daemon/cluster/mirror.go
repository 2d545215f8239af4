package cluster

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

const (
	// lookEvery is how often members, heartbeats and claims are read: a compaction can drop the
	// deletion of a key, and a deletion must not be missed for long there.
	lookEvery = time.Minute

	// compareEvery is how often everything is compared.
	compareEvery = time.Hour

	// suspectPause is at least between two comparisons because of what no host should have written.
	suspectPause = 10 * time.Second

	// sameRestore is how long after a comparison because of a restore a peer's word is about the
	// same one: it has noticed it later, and told so with its next heartbeat.
	sameRestore = time.Minute

	// saveEvery is how often the revision reached is stored.
	saveEvery = 5 * time.Second

	// leaderPause follows a watch that ended without a leader, and roundPause any other failure.
	leaderPause = time.Second
	roundPause  = 200 * time.Millisecond
)

// copies are the host's own records, as the mirror needs them.
type copies interface {
	Get(table record.Table, key string) (record.Record, error)
	All(table record.Table) iter.Seq2[record.Record, error]
	Put(ctx context.Context, recs ...record.Record) error

	// restored forgets the revisions of deletions: etcd was restored from a backup.
	restored()

	// rebase makes copies count as copies of other revisions. It leaves those that are copies of
	// another revision by now.
	rebase(ctx context.Context, all ...rebased) error

	// reached reports that all changes up to a revision have been applied.
	reached(revision int64)

	// refused returns how often changes were applied without being stored.
	refused() int64
}

// claimed are the claims of all hosts, as the mirror needs them.
type claimed interface {
	see(kv KeyValue, revision int64)
	reset(all []KeyValue, revision int64)
	reached(revision int64)

	// restored forgets the revisions of all claims. A reset follows.
	restored()

	// compared follows a reset with all that etcd has.
	compared(restored bool)
}

// mirrorConfig is what a [mirror] needs.
type mirrorConfig struct {
	keys    *keys
	link    *Link
	txn     func(ctx context.Context, t Txn) (Outcome, error)
	local   copies
	apply   func(ctx context.Context, recs ...record.Record) error // returns when recs are stored
	claims  claimed
	members *members
	clocks  *clocks
	beats   *heartbeats
	clock   *clock.Clock
	wall    func() time.Time
	reports *reports
	signs   *signs
	log     hclog.Logger
	putRoot func(ctx context.Context) error // if etcd has lost the cluster's root
	grant   func(name string) string        // as [Config]'s Grant
}

// mirror keeps this host's copies of the cluster's records up to date. It loads or compares all of
// them, then watches. Call begin before run. Run is the only goroutine. The other methods may be
// called concurrently.
type mirror struct {
	mirrorConfig

	// Used by run alone.
	names    map[string]string // names of holds and codes by key: a deletion has none
	floors   map[string]int64  // by letter: when members, heartbeats, claims were read, a revision
	restored bool              // since etcd was restored, not everything has been compared
	saved    time.Time         // when the position was stored
	ages     ages
	refused  int64 // how often changes were not stored before everything was compared

	unreachable atomic.Bool  // the last round has failed
	restores    atomic.Int64 // how many of etcd this process has noticed

	cleared  atomic.Int64  // what was read before this revision may have been deleted by a comparison
	etcd     atomic.Uint64 // the etcd's cluster ID; zero: not known
	revision atomic.Int64  // all changes up to it have been applied

	mu         sync.Mutex
	waived     map[string]int64 // epochs of hosts whose clocks this host has waited for in vain
	wanted     string           // why everything is compared next; empty: it is not
	revived    bool             // etcd may have again what was deleted, until everything is compared
	due        time.Time        // when everything is compared again
	dated      string           // the boot that copies were dated in when everything was compared
	compared   time.Time        // when everything was compared last
	restoredAt time.Time        // when it was because of a restore; zero if never
	stop       func()           // ends the watch; nil if there is none
	restarts   map[string]int   // by reason
	loads      int
}

// Reasons for a comparison, and for a restart of the watch.
const (
	whyStart     = "start"
	whyCompacted = "compacted"
	whyRestored  = "restored"
	whyTold      = "restored, a peer says"
	whyAway      = "away"
	whyDue       = "due"
	whyNoLeader  = "no leader"
	whyMoved     = "moved"
	whyBroken    = "broken"
	whyUnmet     = "unmet"
	whyMet       = "met"
)

func newMirror(cfg mirrorConfig) *mirror {
	return &mirror{
		mirrorConfig: cfg,
		names:        make(map[string]string),
		floors:       make(map[string]int64),
		waived:       make(map[string]int64),
		restarts:     make(map[string]int),
	}
}

// reached returns the revision up to which all changes have been applied.
func (m *mirror) reached() int64 { return m.revision.Load() }

// counts returns how often everything was loaded or compared, and how often the watch was restarted
// for each reason.
func (m *mirror) counts() (loads int, restarts map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	restarts = make(map[string]int, len(m.restarts))
	maps.Copy(restarts, m.restarts)
	return m.loads, restarts
}

// observe takes over the header of an answer. before was reached when its request was sent: a lower
// revision or another etcd shows that etcd was restored from a backup.
func (m *mirror) observe(before int64, h Header) {
	if m.olderThan(before, h) {
		m.want(whyRestored)
	}
}

// olderThan reports whether h shows that etcd was restored since it had a revision.
func (m *mirror) olderThan(before int64, h Header) bool {
	known := m.etcd.Load()
	return known != 0 && (h.Cluster != known || h.Revision < before)
}

// want makes run compare everything as soon as possible.
func (m *mirror) want(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if why == whyTold && m.restoredLatelyLocked() {
		return
	}
	if m.wanted == whyRestored || m.wanted != "" && why != whyRestored && why != whyTold {
		return
	}
	m.wanted = why
	m.revived = m.revived || why == whyRestored || why == whyTold
	if m.stop != nil {
		m.stop()
	}
}

// restoredLatelyLocked reports whether everything was compared because of a restore within the last
// [sameRestore]. mu is held.
func (m *mirror) restoredLatelyLocked() bool {
	return !m.restoredAt.IsZero() && time.Since(m.restoredAt) < sameRestore
}

// suspect makes run compare everything soon: etcd has a change that no host makes.
func (m *mirror) suspect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.compared.Add(suspectPause); next.Before(m.due) {
		m.due = next
		if m.stop != nil {
			m.stop()
		}
	}
}

// lost notes that etcd was restored: everything has to be compared by content. If a peer has not
// told so, the next heartbeat tells all peers: the revision that they have reached may be higher
// than that of changes which they have missed.
func (m *mirror) lost(why string) {
	if !m.restored {
		m.restored = true
		m.signs.forget()
		if why == whyRestored {
			m.restores.Add(1)
			m.beats.soon()
		}
		m.log.Error("etcd was restored from a backup: this host puts back what is newer here", "reached", m.reached())
	}
}

// takeWanted returns why everything has to be compared now, or nothing.
func (m *mirror) takeWanted() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	why := m.wanted
	m.wanted = ""
	if why == "" && !time.Now().Before(m.due) {
		why = whyDue
	}
	return why
}

// run mirrors until ctx is done.
func (m *mirror) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := m.round(ctx)
		if ctx.Err() != nil {
			break
		}
		why, wait := m.ended(err)
		if why != "" {
			m.mu.Lock()
			m.restarts[why]++
			m.mu.Unlock()
			m.log.Debug("watch of etcd restarted", "why", why, "error", err)
		}
		pause(ctx, wait)
	}
	m.save(context.WithoutCancel(ctx))
	return nil
}

// ended returns why a round has ended, if that is a restart of the watch, and how long to wait.
func (m *mirror) ended(err error) (why string, wait time.Duration) {
	switch _, compacted := errors.AsType[*CompactedError](err); {
	case err == nil:
		return "", 0
	case compacted:
		m.want(whyCompacted)
		return whyCompacted, 0
	case errors.Is(err, errUnmet):
		return whyUnmet, 0
	case errors.Is(err, errRestored):
		m.lost(whyRestored)
		m.want(whyRestored)
		return whyRestored, 0
	case errors.Is(err, ErrNoLeader):
		return whyNoLeader, leaderPause
	case errors.Is(err, errMoved):
		return whyMoved, 0
	}
	return whyBroken, roundPause
}

var (
	errUnmet    = errors.New("a record of a host whose clock is not known yet")
	errRestored = errors.New("etcd was restored from a backup")
	errMoved    = errors.New("another endpoint is used")
)

// round reads what there is and watches, until the watch ends or everything has to be compared.
func (m *mirror) round(ctx context.Context) error {
	if err := m.meet(ctx); err != nil {
		if ctx.Err() == nil && m.unreachable.CompareAndSwap(false, true) {
			m.log.Warn("etcd is unreachable: this host serves what it has", "error", err)
		}
		return err
	}
	if m.unreachable.CompareAndSwap(true, false) {
		m.log.Info("etcd is reachable again")
	}
	if why := m.takeWanted(); why != "" {
		if why == whyRestored || why == whyTold {
			m.lost(why)
		}
		if err := m.load(ctx, why); err != nil {
			m.want(why)
			return err
		}
	}
	return m.watch(ctx)
}

// watch applies changes, until it is time to look again.
func (m *mirror) watch(ctx context.Context) error {
	kv, moves, err := m.link.client()
	if err != nil {
		m.link.Move(moves)
		return err
	}
	m.mu.Lock()
	limited, cancel := context.WithTimeout(ctx, min(lookEvery, time.Until(m.due)))
	defer cancel()
	if m.wanted != "" {
		cancel()
	}
	m.stop = cancel
	m.mu.Unlock()
	m.beats.watch(true)
	defer func() {
		m.beats.watch(false)
		m.mu.Lock()
		m.stop = nil
		m.mu.Unlock()
	}()
	for changes, err := range kv.Watch(limited, m.keys.prefix+"/", m.reached()+1) {
		if err == nil {
			err = m.take(ctx, changes)
		}
		switch {
		case err == nil:
		case limited.Err() != nil:
			return nil
		case m.link.Moves() != moves:
			return errMoved
		default:
			return err
		}
	}
	return nil
}
