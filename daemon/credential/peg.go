package credential

import "sync/atomic"

// Peg is a place at a credential where whoever serves it hangs what it keeps of it, so that it has
// it at hand with the value and needs no index of its own. What hangs there outlives the values,
// and a customer's credential that lapses and is asked for again; it goes with the account. The
// zero value is a free peg. Its methods may be called concurrently, and allocate nothing.
type Peg struct{ at atomic.Pointer[Hung] }

// Hung is what hangs on a peg.
type Hung interface {
	// Gone is called once, when the credential is known no more. Those who have got its peg before
	// may find it there still. It must not wait for anything, and may be called with locks held.
	Gone()
}

// Load returns what hangs on p; nil where nothing does.
func (p *Peg) Load() Hung {
	if h := p.at.Load(); h != nil {
		return *h
	}
	return nil
}

// Hung returns the pointer that Hang was called with; nil where nothing hangs.
func (p *Peg) Hung() *Hung { return p.at.Load() }

// Hang puts what h points to on p, for good, and reports whether p was free. A peg is not any more
// when its entry is out of service. A pointer, because Load is on the way of every read: where h
// points into what hangs there, nothing else is touched.
func (p *Peg) Hang(h *Hung) bool { return p.at.CompareAndSwap(nil, h) }
