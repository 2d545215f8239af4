package web

import (
	"net/netip"
	"sync"
	"time"
)

// freeBody is the size in bytes up to which the inbox always processes a body. No genuine push is
// known to be larger. A smaller body costs no more than answering an HTTP request.
const freeBody = 8 << 10

// These limits apply to the processor time that the inbox spends on larger bodies that are not
// genuine. Each such body overdraws the budget for a multiple of the time that it took. A larger
// body is rejected while the budget is overdrawn by more than the leeway.
const (
	sourceShare  = 50 // one fiftieth of a processor per source
	sourceLeeway = time.Second
	totalShare   = 10 // one tenth of a processor for all untrusted sources together
	totalLeeway  = 5 * time.Second
)

// Bounds of the table of sources.
const (
	maxSources  = 1024
	genuineLife = 24 * time.Hour // WeChat pushes tickets at least every ten minutes
)

// budget limits the processor time that strangers can consume with large bodies that are not
// genuine. A source that has sent genuine pushes is limited only by its own failures, so an attack
// from elsewhere does not delay it. The zero value is ready to use.
type budget struct {
	mu      sync.Mutex
	total   overdraft
	sources map[netip.Prefix]*source
}

// source is the state of one source.
type source struct {
	overdraft
	genuine time.Time // time of its last genuine push; zero if none
}

func (s *source) trusted(now time.Time) bool {
	return !s.genuine.IsZero() && now.Sub(s.genuine) < genuineLife
}

// overdraft is the time until which a budget is overdrawn.
type overdraft struct{ until time.Time }

// spend charges the budget for took. The budget recovers at a rate of 1/share.
func (o *overdraft) spend(took time.Duration, share int, now time.Time) {
	if o.until.Before(now) {
		o.until = now
	}
	o.until = o.until.Add(took * time.Duration(share))
}

func (o *overdraft) within(leeway time.Duration, now time.Time) bool {
	return o.until.Sub(now) <= leeway
}

// admit reports whether a body larger than freeBody may be read from a source.
func (b *budget) admit(from netip.Prefix, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sources[from]
	if s == nil {
		return b.total.within(totalLeeway, now)
	}
	return s.within(sourceLeeway, now) && (s.trusted(now) || b.total.within(totalLeeway, now))
}

// failed charges a source for a body that was found not genuine after took.
func (b *budget) failed(from netip.Prefix, took time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sources[from]
	if s == nil || !s.trusted(now) {
		b.total.spend(took, totalShare, now)
	}
	if s == nil {
		if s = b.addLocked(from, now); s == nil {
			return // untracked sources are bounded by the total
		}
	}
	s.spend(took, sourceShare, now)
}

// genuine records a genuine push from a source.
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

// addLocked adds a source. It returns nil if there are too many. b.mu is held.
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
