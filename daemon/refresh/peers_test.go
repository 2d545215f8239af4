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

	// claim, put, land, give and write return the errors of a claim and of its methods, and of a
	// write of changes to the store; nil for none. n counts from 1.
	claim func(n int, want Want) error
	put   func(n int) error
	land  func(n int, recs []record.Record) error
	give  func() error
	write func(n int, recs []record.Record) error

	read func(record.Record) // called after each read of a record; nil for nothing

	until     time.Duration // how long a claim lasts from now on; zero for a day
	confirmed *Instant      // nil for now
	place, of int
	offsets   map[string][2]time.Duration

	now  func() Instant // set by startPeers
	disk *disk          // nil for an empty one

	wants  []Want
	writes int
	puts   [][]record.Record // budgets of further calls
	lands  [][]record.Record // landings that were stored
	gives  []bool            // sent of each Give
	tried  int               // landings, refused ones included
	open   int               // claims that have not ended
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.confirmed != nil {
		return *p.confirmed
	}
	return p.now()
}

// set changes what p does while an engine uses it.
func (p *peers) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
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

// sharedDisk is the store of an engine with peers.
type sharedDisk struct {
	*disk
	p *peers
}

func (d sharedDisk) Get(table record.Table, key string) (record.Record, error) {
	r, err := d.disk.Get(table, key)
	d.p.mu.Lock()
	read := d.p.read
	d.p.mu.Unlock()
	if read != nil {
		read(r)
	}
	return r, err
}

func (d sharedDisk) Put(ctx context.Context, recs ...record.Record) error {
	d.p.mu.Lock()
	write, n := d.p.write, d.p.writes+1
	if recs[0].Revision != 0 {
		write = nil
	} else {
		d.p.writes++
	}
	d.p.mu.Unlock()
	if write != nil {
		if err := write(n, recs); err != nil {
			return err
		}
	}
	return d.disk.Put(ctx, recs...)
}

// permission is a claim of peers.
type permission struct{ *peers }

func (c *permission) Until() Instant {
	c.mu.Lock()
	life := c.until
	c.mu.Unlock()
	if life == 0 {
		life = 24 * time.Hour
	}
	return c.now().Add(life)
}

func (c *permission) Put(ctx context.Context, recs ...record.Record) error {
	c.mu.Lock()
	c.puts = append(c.puts, recs)
	n, put := len(c.puts), c.put
	c.mu.Unlock()
	if put != nil {
		if err := put(n); err != nil {
			return err
		}
	}
	return c.disk.Put(ctx, recs...)
}

func (c *permission) Land(ctx context.Context, recs ...record.Record) error {
	c.mu.Lock()
	c.tried++
	n, land := c.tried, c.land
	c.mu.Unlock()
	var err error
	if land != nil {
		err = land(n, recs)
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
	c.open--
	c.gives = append(c.gives, sent)
	give := c.give
	c.mu.Unlock()
	if give != nil {
		return give()
	}
	return nil
}

// startPeers runs an engine with the peers p. At the end no claim may be open.
func startPeers(t *testing.T, p *peers, cfg Config) *rig {
	t.Helper()
	if p.disk == nil {
		p.disk = newDisk()
	}
	cfg.Store, cfg.Peers, cfg.Boot = sharedDisk{p.disk, p}, p, "boot@here"
	began := time.Now()
	cfg.Boottime = func() time.Duration { return time.Hour + time.Since(began) }
	p.now = func() Instant { return Instant(cfg.Boottime()) }
	t.Cleanup(func() { // after the engine has ended
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

// rotatingApp is a catalog of one rotating credential.
func rotatingApp(up *upstream) catalog {
	return specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})
}

// repeatingApp is a catalog of one credential that WeChat repeats.
func repeatingApp(up *upstream) catalog {
	return specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})
}

// claimOf returns the record of a claim of another host.
func claimOf(name string, state record.ClaimState, tries int) record.Record {
	r := record.Claim{Name: name, Table: record.Credentials, State: state, Host: "there", Epoch: 3, Nonce: "nonce", Tries: tries}.Encode()
	r.Revision = 9
	return r
}
