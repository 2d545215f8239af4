package refresh

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// peers is the other hosts as a test has them. Its zero value grants every claim.
type peers struct {
	mu sync.Mutex

	// claim, put, land and give return the errors of a claim and of its methods; nil for none.
	claim func(n int, want Want) error
	put   func(n int) error
	land  func(n int, recs []record.Record) error
	give  func() error

	until     time.Duration // how long a claim lasts from now on; zero for a day
	confirmed *Instant      // nil for now
	place, of int
	offsets   map[string][2]time.Duration

	now  func() Instant // set by startPeers
	disk *disk

	wants []Want
	puts  [][]record.Record // budgets of further calls
	lands [][]record.Record // landings that were stored
	gives []bool            // sent of each Give
	open  int               // claims that have not ended
}

func (p *peers) Claim(ctx context.Context, want Want, recs ...record.Record) (Claim, error) {
	p.mu.Lock()
	p.wants = append(p.wants, want)
	n, claim := len(p.wants), p.claim
	p.mu.Unlock()
	var err error
	if claim != nil {
		err = claim(n, want)
	}
	if err != nil && err != ErrUnconfirmed {
		return nil, err
	}
	p.mu.Lock()
	p.open++
	p.mu.Unlock()
	if err == nil {
		err = p.disk.Put(ctx, recs...)
	}
	return &permission{p}, err
}

func (p *peers) Rank(string) (place, of int) { return p.place, max(p.of, 1) }

func (p *peers) Offset(boot string) (low, high time.Duration, ok bool) {
	o, ok := p.offsets[boot]
	return o[0], o[1], ok
}

func (p *peers) Confirmed() Instant {
	if p.confirmed != nil {
		return *p.confirmed
	}
	return p.now()
}

// claims returns how often a claim was asked for.
func (p *peers) claims() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.wants)
}

// given returns the sent of each claim that was given back.
func (p *peers) given() []bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.gives)
}

// permission is a claim of peers.
type permission struct{ *peers }

func (c *permission) Until() Instant {
	life := c.until
	if life == 0 {
		life = 24 * time.Hour
	}
	return c.now().Add(life)
}

func (c *permission) Put(ctx context.Context, recs ...record.Record) error {
	c.mu.Lock()
	c.puts = append(c.puts, recs)
	n := len(c.puts)
	c.mu.Unlock()
	if c.put != nil {
		if err := c.put(n); err != nil {
			return err
		}
	}
	return c.disk.Put(ctx, recs...)
}

func (c *permission) Land(ctx context.Context, recs ...record.Record) error {
	c.mu.Lock()
	n := len(c.lands) + 1
	c.mu.Unlock()
	var err error
	if c.land != nil {
		err = c.land(n, recs)
	}
	newer := newerIn(err)
	c.mu.Lock()
	if newer == nil {
		c.lands = append(c.lands, recs)
	}
	if newer == nil || newer.Err == ErrOvertaken {
		c.open--
	}
	c.mu.Unlock()
	if newer != nil {
		return err
	}
	if unwritten := c.disk.Put(ctx, recs...); unwritten != nil {
		return unwritten
	}
	return err
}

func (c *permission) Give(_ context.Context, sent bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.gives = append(c.gives, sent)
	if c.give != nil {
		return c.give()
	}
	return nil
}

// startPeers runs an engine with the peers p. At the end no claim may be open.
func startPeers(t *testing.T, p *peers, cfg Config) *rig {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = newDisk()
	}
	p.disk = cfg.Store.(*disk)
	cfg.Peers, cfg.Boot = p, "boot@here"
	began := time.Now()
	cfg.Boottime = func() time.Duration { return time.Hour + time.Since(began) }
	p.now = func() Instant { return Instant(cfg.Boottime()) }
	t.Cleanup(func() {
		if p.open != 0 {
			t.Errorf("%d claims are open", p.open)
		}
	})
	return start(t, cfg)
}

// theirs returns the record of a value that another host has fetched now.
func (r *rig) theirs(name, text string, life time.Duration, revision int64) record.Record {
	now := r.clock.Now()
	c := r.form(name, "", &cached{text: secret.Text(text), issued: now, seen: now, end: now.Add(life), life: life})
	c.By, c.Call = "there", "call"
	rec := c.Encode()
	rec.Revision = revision
	return rec
}

func newerOf(recs ...record.Record) error { return &NewerError{ErrRenewed, recs} }

const twoHours = 2 * time.Hour

// TestClaimOfEachRefresh: a flight claims, lands, and leaves nothing open.
func TestClaimOfEachRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s", got)
		}
		time.Sleep(twoHours)
		if got := r.mustGet(app); got != "tok-2" {
			t.Errorf("after two hours: got %s", got)
		}
		want := Want{Table: record.Credentials, Name: app, Rotates: true}
		if len(p.wants) != 2 || p.wants[0] != want || len(p.lands) != 2 || len(p.gives) != 0 {
			t.Errorf("got wants %+v, %d landings, given back %v", p.wants, len(p.lands), p.gives)
		}
	})
}

// TestNewerValueEndsFlight: a value that another host has fetched in the meantime is served
// without a call.
func TestNewerValueEndsFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		p.claim = func(n int, _ Want) error { return newerOf(r.theirs(app, "theirs", twoHours, 7)) }
		if got := r.mustGet(app); got != "theirs" || up.count() != 0 {
			t.Errorf("got %s after %d calls, want theirs after none", got, up.count())
		}
		if c, _ := p.disk.Get(record.Credentials, app); c.Revision != 7 {
			t.Errorf("stored revision: got %d, want 7", c.Revision)
		}
	})
}
