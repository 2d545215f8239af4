package generator

import "math"

// Requests holds the requests of a run, packed so that a million of them need little more than
// their bytes.
type Requests struct {
	text []byte
	ends []uint32
}

// Add adds a request, which make appends to b with one of [Dialect]'s methods. It returns false,
// and adds nothing, at 4 GiB.
func (r *Requests) Add(make func(b []byte) []byte) bool {
	text := make(r.text)
	if uint64(len(text)) > math.MaxUint32 {
		return false
	}
	r.text = text
	r.ends = append(r.ends, uint32(len(text)))
	return true
}

// Len returns the number of requests.
func (r *Requests) Len() int { return len(r.ends) }

// at returns a request, which must not be changed.
func (r *Requests) at(i int) []byte {
	var begin uint32
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.text[begin:r.ends[i]]
}

// longest returns the length of the longest request.
func (r *Requests) longest() int {
	longest := 0
	for i := range r.ends {
		longest = max(longest, len(r.at(i)))
	}
	return longest
}

// picker chooses requests: at random, the same in every run, or in order.
type picker struct {
	requests *Requests
	inTurn   bool
	state    uint64 // of the random generator, or the next request
	step     uint64 // in order: the number of pickers
}

func (p *picker) next() []byte {
	n := uint64(len(p.requests.ends))
	if p.inTurn {
		i := p.state % n
		p.state += p.step
		return p.requests.at(int(i))
	}
	// xorshift64*, G. Marsaglia and S. Vigna: good enough to spread requests.
	p.state ^= p.state >> 12
	p.state ^= p.state << 25
	p.state ^= p.state >> 27
	high := p.state * 0x2545f4914f6cdd1d >> 32
	return p.requests.at(int(high * n >> 32))
}

// newPicker returns the picker of one of several loops or goroutines.
func newPicker(p Plan, one, of int) picker {
	if p.InTurn {
		return picker{requests: p.Requests, inTurn: true, state: uint64(one), step: uint64(of)}
	}
	return picker{requests: p.Requests, state: uint64(one)*0x9e3779b97f4a7c15 + 1}
}
