package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// Engine keeps credentials alive. Make one with [New] and give it a life with
// Run; its other methods may be called concurrently as soon as it is made.
type Engine struct {
	// Set by New, read-only after.
	cfg          Config
	log          hclog.Logger
	clock        *clock.Clock
	fingerprints fingerprinter
	hosts        []*hostState

	// Set by load, read-only after.
	restored bool // the store was made of a backup

	loaded    chan struct{} // closed when all that was kept is in force
	turned    bool          // the wall clock was earlier than records on disk
	otherBoot []dated       // what an earlier boot has written; until it is rewritten
	unused    unusedRecords // until they are deleted

	earlyReads    gate // open until the loading ends; see admitEarly
	followedEarly followedEarly
	dating        dating

	catalog   atomic.Pointer[Catalog]
	reloaded  atomic.Int64 // when catalog was last replaced, an instant; zero for never
	index     *index
	schedule  *schedule
	ledger    *quota.Ledger
	sleepers  sleepers
	claims    claims
	watchers  watchers
	dropped   dropped
	counts    counts
	unsaved   unsavedValues
	histories histories
	classes   classes
	grants    grantStore
	codes     codes
	asks      asks
	shares    quota.Shares
	endpoints endpoints
	lists     customerLists
	walks     walks
	locks     nameLocks // by name: changes of what is stored under it
	calling   nameLocks // by name: who calls for it

	base   context.Context // the engine's own: what flights run under
	cancel context.CancelFunc

	life    sync.Mutex // guards what follows
	stopped bool
	flights sync.WaitGroup // added to only while !stopped
}

// New returns an engine that holds what the store has kept: every value that
// is still valid is served at once, every hold still holds. What cannot be read is
// logged and left out. See [Config].Ahead for when it is loaded.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Catalog == nil {
		return nil, errors.New("refresh: Config needs Store and Catalog")
	}
	if n := len(cfg.Hosts); n > mostHosts {
		return nil, fmt.Errorf("refresh: Config has %d hosts, at most %d are possible", n, mostHosts)
	}
	cfg.Store = newHoldFilter(cfg.Store)
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	e := &Engine{
		cfg:   cfg,
		log:   log,
		clock: clock.NewWall(cfg.Boottime, cfg.Wall),
		index: newIndex(),

		ledger: quota.NewLedger(saveEvery),

		loaded: make(chan struct{}),
	}
	e.classes.peers = cfg.Peers
	e.hosts = newHosts(cfg.hosts(), cfg.calls())
	e.restarted()
	e.schedule = newSchedule(len(e.hosts))
	e.dating.lead.Store(int64(e.clock.Lead()))
	e.catalog.Store(&cfg.Catalog)
	e.base, e.cancel = context.WithCancel(context.Background())
	e.grants.store = cfg.Store
	var err error
	if e.fingerprints, err = newFingerprinter(cfg.Store); err != nil {
		log.Error("cannot keep the key of fingerprints: those of this run compare with no others", "error", err)
	}
	if r, err := cfg.Store.Get(record.Keys, record.Restored); err == nil && r.Value != nil {
		e.restored = true
	}
	if !cfg.Ahead {
		e.load(context.Background())
	}
	return e, nil
}

// Cached returns the value of name if one is valid at now, which is what Now has returned a moment
// before. Reading the clock takes longer than looking up a name. A caller that answers many
// requests at once reads it once, and again whenever time may have passed. It never blocks and
// never allocates.
func (e *Engine) Cached(name []byte, now Instant) (credential.Value, bool) {
	en := e.index.find(name)
	if en == nil {
		return credential.Value{}, false
	}
	return en.hit(en.current.Load(), now)
}

// Get returns a value of name that is valid now. Where there is none it waits for
// the one fetch that all callers share; ctx bounds the waiting, not the
// fetch. Its error is a *credential.Error, or ctx's.
func (e *Engine) Get(ctx context.Context, name string) (credential.Value, error) {
	if !e.isLoaded() {
		if c, err := e.early(ctx, name); c != nil || err != nil {
			return e.value(name, c), err
		}
	}
	c, err := e.obtain(ctx, name, credential.CauseRead)
	return e.value(name, c), err
}

// Reject says that WeChat has refused value. If it is still the current one it is replaced,
// once for all that reject it; otherwise the current one is returned and no call is
// made. WeChat may answer the very value again: it is then
// returned and served on, and for a minute a rejection of it makes no call. After a
// failure the value stays served to others.
func (e *Engine) Reject(ctx context.Context, name string, value secret.Text) (credential.Value, error) {
	if err := e.ready(ctx); err != nil {
		return credential.Value{}, err
	}
	e.counts.rejects.Add(1)
	c, err := e.replace(ctx, name, value, credential.CauseReject)
	return e.value(name, c), err
}

// RejectOlder is Reject of the value that is valid now, unless it was obtained less than age ago:
// then somebody else has already rejected the one before. Without a valid value it does nothing.
func (e *Engine) RejectOlder(ctx context.Context, name string, age time.Duration) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	en := e.index.get(name)
	if en == nil {
		return nil
	}
	now := e.Now()
	c := en.valid(now)
	if c == nil || now.Sub(max(c.issued, c.seen)) < age {
		return nil
	}
	_, err := e.Reject(ctx, name, c.text)
	return err
}

// Class returns how name's credential gets its values. Its error is a *credential.Error. It never
// waits.
func (e *Engine) Class(name string) (credential.Class, error) {
	spec, err := e.lookup(name)
	switch {
	case err != nil:
		return 0, err
	case spec.Policy.Grant:
		return credential.Grant, nil
	case spec.Policy.Pushed > 0:
		return credential.Pushed, nil
	}
	return credential.Fetched, nil
}

// Refresh fetches name unconditionally, out of a hold too. Where the kind can be
// forced, it is.
func (e *Engine) Refresh(ctx context.Context, name string) (credential.Value, error) {
	if err := e.ready(ctx); err != nil {
		return credential.Value{}, err
	}
	for {
		en, err := e.entry(name)
		if err != nil {
			return credential.Value{}, err
		}
		p := en.policy()
		if p.Pushed > 0 {
			return credential.Value{}, noTicket(name)
		}
		var c *cached
		mine := true
		if p.PerAsk {
			c, err = e.fetchAlone(ctx, en, credential.CauseRefresh)
		} else {
			en.mu.Lock()
			f := en.flight
			mine = f == nil || f.cause == credential.CauseRefresh
			if f == nil {
				f, err = e.startLocked(en, credential.CauseRefresh)
			}
			en.mu.Unlock()
			if err == nil {
				c, err = e.await(ctx, en, f)
			}
		}
		if ctx.Err() != nil || mine && !errors.Is(err, errChanged) {
			return e.value(name, c), err
		}
		// Another's fetch was under way: it was not the operator's.
	}
}

// Run loads what New has not, and refreshes what is due until ctx is done. It then starts nothing
// more and cancels the fetches under way, except those of rotating credentials, which may finish.
// It returns when nothing that it or a reader started is running. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	if !e.isLoaded() && !e.load(ctx) {
		e.halt()
		e.watchers.close()
		return nil
	}
	var g errgroup.Group
	g.Go(func() error {
		e.dispatch(ctx, &g)
		return nil
	})
	g.Go(func() error {
		e.save(ctx)
		return nil
	})
	g.Go(func() error {
		e.keepHistories(ctx)
		return nil
	})
	g.Go(func() error {
		e.deleteUnused(ctx)
		e.redate(ctx)
		return nil
	})
	if e.cfg.Peers != nil {
		g.Go(func() error {
			e.keepContact(ctx)
			return nil
		})
	}
	e.resume()
	<-ctx.Done()
	e.halt()
	e.flights.Wait()
	err := g.Wait()
	e.saveAll()
	e.saveHistories(context.WithoutCancel(ctx))
	e.watchers.close()
	return err
}

// halt lets nothing more begin, and cancels what may be.
func (e *Engine) halt() {
	e.life.Lock()
	e.stopped = true
	e.life.Unlock()
	e.cancel()
}

// RejectCached is Reject where that makes no call: a value other than the rejected one is valid, or
// WeChat has repeated this one within the last minute. It reports false where Reject has to decide.
// It never blocks and never allocates.
func (e *Engine) RejectCached(name, value []byte) (credential.Value, bool) {
	if !e.isLoaded() {
		return credential.Value{}, false
	}
	en := e.index.find(name)
	if en == nil {
		return credential.Value{}, false
	}
	now := e.Now()
	c := en.valid(now)
	switch {
	case c == nil:
		return credential.Value{}, false
	case c.text != secret.Text(value):
		en.touch(now)
	case !en.hasRepeated(c, now):
		return credential.Value{}, false
	}
	e.counts.rejects.Add(1)
	return credential.Value{Text: c.text, TTL: c.end.Sub(now), Readers: &en.readers}, true
}

// hasRepeated reports whether c is current and WeChat has just repeated it. It does not wait for
// en.mu: it reports false while another goroutine holds it.
func (en *entry) hasRepeated(c *cached, now Instant) bool {
	if !en.mu.TryLock() {
		return false
	}
	defer en.mu.Unlock()
	return en.current.Load() == c && en.repeatedLocked(now)
}
