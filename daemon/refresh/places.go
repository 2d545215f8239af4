package refresh

// places is which owner has how many of the places at a host. With one owner's calls hanging, the
// others must find a place: no owner has more than share of them, and the last spare ones are for
// owners that have none. An owner is whose the credential is, see ownerOf: all customers of a
// platform are one.
type places struct {
	limit int // how many there are
	share int // the most for one owner
	spare int

	// taken does not count what an owner has above a share that was lowered: other owners do not
	// wait for that.
	taken int
	of    map[any]int // by owner; those that have one at least
}

// division returns the share of one owner and the spare places, of so many places.
type division func(limit int) (share, spare int)

// halves lets no owner have more than half of the places at a host.
func halves(limit int) (share, spare int) { return max(1, limit/2), limit / 8 }

// undivided lets an owner have all.
func undivided(limit int) (share, spare int) { return limit, 0 }

// open reports whether there is a place for owner.
func (p *places) open(owner any) bool {
	switch have := p.of[owner]; {
	case have >= p.share:
		return false
	case have == 0:
		return p.taken < p.limit
	}
	return p.taken < p.limit-p.spare
}

// full reports whether there is no place for any owner.
func (p *places) full() bool { return p.taken >= p.limit }

// take takes a place for owner; there is one.
func (p *places) take(owner any) {
	if p.of == nil {
		p.of = map[any]int{}
	}
	p.of[owner]++
	p.taken++
}

// give gives back a place of owner.
func (p *places) give(owner any) {
	have := p.of[owner]
	if have <= p.share {
		p.taken--
	}
	if have == 1 {
		delete(p.of, owner)
		return
	}
	p.of[owner] = have - 1
}

// resize changes how many places there are.
func (p *places) resize(limit int, by division) {
	p.limit, p.taken = limit, 0
	p.share, p.spare = by(limit)
	for _, have := range p.of {
		p.taken += min(have, p.share)
	}
}
