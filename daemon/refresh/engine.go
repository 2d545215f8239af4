package refresh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/clock"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// Engine keeps credentials alive. Make one with [New] and give it a life with
// Run; its other methods may be called concurrently as soon as it is made.
type Engine struct {
	// Set by New, read-only after.
	cfg           Config
	log           hclog.Logger
	clock         *clock.Clock
	mark          mark
	weixin, wecom host

	// Set by load, read-only after.
	restored bool // the store was made of a backup

	loaded  chan struct{} // closed when all that was kept is in force
	turned  bool          // the wall clock stood before what was on disk
	foreign []dated       // what an earlier boot has written; until it is written anew
	stray   stray         // what is of no use; until it is deleted

	pulls  gate // open until the loading ends; see pull
	dating dating

	catalog  atomic.Pointer[Catalog]
	reloaded atomic.Int64 // when catalog was last replaced, an instant; zero for never
	index    *index
	schedule *schedule
	ledger   *quota.Ledger
	sleepers sleepers
	watchers watchers
	unhooked unhooked
	counts   counts
	unsaved  unsaved
	classes  classes
	grants   grants
	codes    codes
	asks     asks
	shares   quota.Shares
	outlets  outlets
	lists    customerLists
	walks    walks
	turns    turns // by name: who changes what stands under it
	airborne turns // by name: who calls for it

	base   context.Context // the engine's own: what a flight runs under, whoever asked for it
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
	cfg.Store = newRare(cfg.Store)
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	e := &Engine{
		cfg:   cfg,
		log:   log,
		clock: clock.New(cfg.Boottime),
		index: newIndex(),

		ledger: quota.NewLedger(saveEvery),

		loaded: make(chan struct{}),
	}
	e.weixin, e.wecom = newHosts(cfg.calls())
	e.restarted()
	e.schedule = newSchedule()
	e.dating.lead.Store(int64(e.clock.Lead()))
	e.catalog.Store(&cfg.Catalog)
	e.base, e.cancel = context.WithCancel(context.Background())
	e.grants.store = cfg.Store
	var err error
	if e.mark, err = newMark(cfg.Store); err != nil {
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

// Now returns the present instant. It never allocates, and blocks only when the wall clock has been
// set forward since the start, while the values that were dated by it are dated again.
func (e *Engine) Now() Instant {
	now := e.clock.Now()
	e.dateAgain()
	return now
}

// Cached returns the value of name if one is valid at now, which is what Now has returned a moment
// before. To look at the clock takes longer than to look up a name, so whoever answers many
// requests at once looks at it once, and again whenever time may have passed. It never blocks and
// never allocates.
func (e *Engine) Cached(name []byte, now Instant) (Value, bool) {
	en := e.index.find(name)
	if en == nil {
		return Value{}, false
	}
	c := en.valid(now)
	if c == nil {
		return Value{}, false
	}
	en.touch(now)
	return Value{Text: c.text, TTL: c.end.Sub(now), Peg: &en.peg}, true
}

// Get returns a value of name that is valid now. Where there is none it waits for
// the one fetch that all who ask share; ctx bounds the waiting, not the
// fetch. Its error is an *Error, or ctx's.
func (e *Engine) Get(ctx context.Context, name string) (Value, error) {
	if !e.isLoaded() {
		if c, err := e.early(ctx, name); c != nil || err != nil {
			return e.value(name, c), err
		}
	}
	c, err := e.obtain(ctx, name, CauseRead)
	return e.value(name, c), err
}

// Reject says that WeChat has refused value. If it is still the current one it is replaced,
// once for all who say so; otherwise the current one is returned and no call is
// made. WeChat may answer the very value again: it is then
// returned and served on, and for a minute a rejection of it makes no call. After a
// failure the value stays served to others.
func (e *Engine) Reject(ctx context.Context, name string, value secret.Text) (Value, error) {
	if err := e.ready(ctx); err != nil {
		return Value{}, err
	}
	e.counts.rejects.Add(1)
	c, err := e.replace(ctx, name, value, CauseReject)
	return e.value(name, c), err
}

// Refresh fetches name unconditionally, out of a hold too. Where the kind can be
// forced, it is.
func (e *Engine) Refresh(ctx context.Context, name string) (Value, error) {
	if err := e.ready(ctx); err != nil {
		return Value{}, err
	}
	for {
		en, err := e.entry(name)
		if err != nil {
			return Value{}, err
		}
		p := en.policy()
		if p.pushed > 0 {
			return Value{}, noTicket(name)
		}
		var c *credential
		mine := true
		if p.perAsk {
			c, err = e.fetchAlone(ctx, en, CauseRefresh)
		} else {
			en.mu.Lock()
			f := en.flight
			mine = f == nil || f.cause == CauseRefresh
			if f == nil {
				f, err = e.startLocked(en, CauseRefresh)
			}
			en.mu.Unlock()
			if err == nil {
				c, err = f.wait(ctx)
			}
		}
		if ctx.Err() != nil || mine && !errors.Is(err, errChanged) {
			return e.value(name, c), err
		}
		// Another's fetch was under way: it was not the operator's.
	}
}

// repeatedFor is how long a value that WeChat repeated to a rejection is not asked for
// again because of one.
const repeatedFor = time.Minute

func (e *Engine) replace(ctx context.Context, name string, value secret.Text, cause Cause) (*credential, error) {
	for {
		en, err := e.entry(name)
		if err != nil {
			return nil, err
		}
		f, c, err := e.joinRejecting(en, value, cause)
		switch {
		case c != nil:
			return c, nil
		case f != nil:
			c, err = f.wait(ctx)
		case err == nil:
			return e.obtain(ctx, name, cause)
		}
		if ctx.Err() != nil || !errors.Is(err, errChanged) {
			return c, err
		}
	}
}

// joinRejecting returns the flight that replaces value; or value's credential itself, if WeChat has
// just repeated it; or why no call is made. All nil: value is not the current one.
func (e *Engine) joinRejecting(en *entry, value secret.Text, cause Cause) (f *flight, c *credential, err error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	c = en.valid(now)
	if c == nil || c.text != value {
		return nil, nil, nil
	}
	if en.repeatedLocked(now) {
		return nil, c, nil
	}
	if cause == CauseParent {
		en.noteDead(value)
	}
	f = en.flight
	if f == nil {
		if en.policy().pushed > 0 {
			return nil, nil, noTicket(en.name)
		}
		if h := en.paused(now); h != nil {
			return nil, nil, h.err(now)
		}
		if wait := en.recall().rejects.take(now); wait > 0 {
			return nil, nil, guard("of one credential, one value a minute is replaced after the first few", wait)
		}
		if f, err = e.startLocked(en, cause); err != nil {
			return nil, nil, err
		}
		f.paid = true
	}
	f.rejected = true
	return f, nil, nil
}

// obtain returns a credential of name that is valid now, and fetches it if need be.
func (e *Engine) obtain(ctx context.Context, name string, cause Cause) (*credential, error) {
	for {
		en, err := e.entry(name)
		if err != nil {
			return nil, err
		}
		now := e.Now()
		en.touch(now)
		if c := en.valid(now); c != nil {
			return c, nil
		}
		var c *credential
		if en.policy().perAsk {
			c, err = e.fetchAlone(ctx, en, cause)
		} else {
			c, err = e.share(ctx, en, cause)
		}
		if ctx.Err() != nil || !errors.Is(err, errChanged) {
			return c, err
		}
	}
}

// share waits for the one flight of en, which it joins or starts.
func (e *Engine) share(ctx context.Context, en *entry, cause Cause) (*credential, error) {
	f, c, err := e.join(en, cause)
	if f != nil {
		c, err = f.wait(ctx)
	}
	return c, e.orExpected(en, err)
}

// join returns the flight that is under way for en, or starts one; or the credential that
// has become valid meanwhile; or the reason why no call is made.
func (e *Engine) join(en *entry, cause Cause) (f *flight, c *credential, err error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	if c := en.valid(now); c != nil {
		return nil, c, nil
	}
	if f := en.flight; f != nil {
		return f, nil, nil
	}
	if en.policy().pushed > 0 {
		return nil, nil, noTicket(en.name)
	}
	if h := en.paused(now); h != nil {
		return nil, nil, h.err(now)
	}
	f, err = e.startLocked(en, cause)
	return f, nil, err
}

// entry returns the entry of name and makes it if the catalog knows the name.
func (e *Engine) entry(name string) (*entry, error) {
	if en := e.index.get(name); en != nil {
		return en, nil
	}
	catalog := e.catalog.Load()
	spec, err := (*catalog).Lookup(name)
	if err != nil {
		return nil, err
	}
	if spec.Kind.policy().grant {
		return nil, writeOnly()
	}
	made := e.newEntry(&spec)
	if err := e.inherit(made, &spec); err != nil {
		return nil, err
	}
	h := made.hold
	en := e.introduce(made, &spec, catalog)
	if en == made && h != nil {
		e.confirm(en, h)
	}
	return en, nil
}

// introduce returns the entry of made's name in the index: made, unless there is one. spec is as
// catalog says.
func (e *Engine) introduce(made *entry, spec *Spec, catalog *Catalog) *entry {
	made.mu.Lock() // nobody has its value before what hung at the one before it hangs here
	en := e.index.add(made)
	if en != made {
		made.mu.Unlock()
		en.mu.Lock()
	}
	defer en.mu.Unlock()
	if en == made {
		if en.sleepsLocked() {
			e.sleepers.add(spec.Parent, en)
		}
		e.tellLocked(en, e.clock.Now(), false)
	}
	if e.catalog.Load() != catalog {
		// The configuration changed in between, and the change may have
		// missed this entry.
		e.followLocked(en)
	}
	if en == made && en.gone() == nil {
		e.unhooked.hook(en)
	}
	return en
}

func (e *Engine) newEntry(spec *Spec) *entry {
	en := &entry{name: spec.Name}
	en.class.Store(e.classes.of(spec))
	return en
}

// lookup returns how name is fetched by the configuration in force. Its error is an *Error.
func (e *Engine) lookup(name string) (Spec, error) { return (*e.catalog.Load()).Lookup(name) }

// value returns what a reader gets of c, which is name's; the zero Value for nil.
func (e *Engine) value(name string, c *credential) Value {
	if c == nil {
		return Value{}
	}
	// A life that ran out on the way here is shown as its last instant: it was
	// valid when the flight landed.
	v := Value{Text: c.text, TTL: max(c.end.Sub(e.clock.Now()), 1)}
	if en := e.index.get(name); en != nil {
		v.Peg = &en.peg
	}
	return v
}
