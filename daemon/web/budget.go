package web

import (
	"net/netip"
	"sync"
	"time"
)

// freeBody is the size in bytes up to which a body is always read by the inbox. No genuine push is
// known to be larger, and reading less costs no more than answering an HTTP request does.
const freeBody = 8 << 10

// How much processor time the inbox spends on larger bodies that turn out not to be genuine. After
// each of them the budget is overdrawn for a multiple of the time that it took, and a larger body
// is refused while the budget is overdrawn by more than the leeway.
const (
	sourceShare  = 50 // a fiftieth of a processor for one source
	sourceLeeway = time.Second
	totalShare   = 10 // a tenth of a processor for all sources that have sent nothing genuine
	totalLeeway  = 5 * time.Second
)

// Bounds of what is remembered of sources.
const (
	maxSources  = 1024
	genuineLife = 24 * time.Hour // WeChat pushes tickets every ten minutes or more often
)

// budget limits the processor time that strangers can take by bodies that are expensive to read and
// not genuine. A source that has sent genuine pushes is limited only by its own failures, so an
// attack from elsewhere does not delay it. The zero value is ready.
type budget struct {
	mu      sync.Mutex
	total   overdraft
	sources map[netip.Prefix]*source
}

// source is what is remembered of one source.
type source struct {
	overdraft
	genuine time.Time // of its last genuine push; zero for none
}

func (s *source) trusted(now time.Time) bool {
	return !s.genuine.IsZero() && now.Sub(s.genuine) < genuineLife
}

// overdraft is until when a budget is overdrawn.
type overdraft struct{ until time.Time }

// spend charges the budget for took, of which it gets back one part in share.
func (o *overdraft) spend(took time.Duration, share int, now time.Time) {
	if o.until.Before(now) {
		o.until = now
	}
	o.until = o.until.Add(took * time.Duration(share))
}

func (o *overdraft) within(leeway time.Duration, now time.Time) bool {
	return o.until.Sub(now) <= leeway
}

// admit reports whether a body larger than freeBody may be read that comes from a source.
func (b *budget) admit(from netip.Prefix, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sources[from]
	if s == nil {
		return b.total.within(totalLeeway, now)
	}
	return s.within(sourceLeeway, now) && (s.trusted(now) || b.total.within(totalLeeway, now))
}

// failed charges a source for a body that took so long to be found not genuine.
func (b *budget) failed(from netip.Prefix, took time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sources[from]
	if s == nil || !s.trusted(now) {
		b.total.spend(took, totalShare, now)
	}
	if s == nil {
		if s = b.addLocked(from, now); s == nil {
			return // the total bounds those that there is no room for
		}
	}
	s.spend(took, sourceShare, now)
}

// genuine notes a genuine push from a source.
func (b *budget) genuine(from netip.Prefix, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sources[from]
	if s == nil {
		s = b.addLocked(from, now)
	}
	if s != nil {
		s.genuine = now
	}
}

// addLocked remembers a source, and returns nil if there are too many. b.mu is held.
func (b *budget) addLocked(from netip.Prefix, now time.Time) *source {
	if len(b.sources) >= maxSources {
		for p, s := range b.sources {
			if !s.trusted(now) && !s.until.After(now) {
				delete(b.sources, p)
			}
		}
	}
	if len(b.sources) >= maxSources {
		return nil
	}
	if b.sources == nil {
		b.sources = make(map[netip.Prefix]*source)
	}
	s := new(source)
	b.sources[from] = s
	return s
}
