package refresh

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strings"

	"tokend/daemon/clock"
	"tokend/daemon/throttle"
)

// List returns how many credentials there are under prefix, of those that may be shown by may (nil:
// all), and yields them sorted by name: what has been asked for, and what the catalog knows
// besides. Which they are is settled when it returns; how each of them is, when it is yielded. It
// is for one walk, in which the caller may take its time: a million entries and as many grants take
// 32 MB meanwhile.
func (e *Engine) List(prefix string, may func(name string) bool) (n int, all iter.Seq[Listing]) {
	e.awaitLoaded()
	r := e.roll(prefix, may)
	return r.len(), r.all
}

// Watch returns what there is under prefix, as List does, and a subscription to every change after
// it. A change that happens before a credential is yielded may be in both.
func (e *Engine) Watch(prefix string, may func(name string) bool) (n int, all iter.Seq[Listing], w *Watch) {
	e.awaitLoaded()
	w = e.watchers.add(prefix, e.index.len())
	n, all = e.List(prefix, may)
	return n, all, w
}

// roll is which credentials there were under a prefix, to be walked in the order of their names
// while the world goes on. A large platform has as many grants as entries, or more, and they are on
// disk: of an entry the roll has 16 bytes, of a grant those of its name that tell it from the one
// before, and nobody who changes something waits for whoever walks.
type roll struct {
	clock   *clock.Clock
	work    *throttle.Work
	entries []ranked
	grants  terse
	others  []Listing // what is in neither: sorted by name
}

// roll returns what there is under prefix, of what may be shown.
func (e *Engine) roll(prefix string, may func(name string) bool) *roll {
	if may == nil {
		may = func(string) bool { return true }
	}
	r := &roll{clock: e.clock, work: e.cfg.Throttle.Begin(e.base)}
	// First what the catalog knows besides: whoever is asked for meanwhile is among the entries.
	for name := range (*e.catalog.Load()).Names() {
		r.work.Step()
		if strings.HasPrefix(name, prefix) && e.index.get(name) == nil && may(name) {
			r.others = append(r.others, Listing{Name: name, State: Idle})
		}
	}
	r.entries = make([]ranked, 0, e.index.count(prefix, r.work))
	for en := range e.index.each {
		r.work.Step()
		if !strings.HasPrefix(en.name, prefix) || !may(en.name) {
			continue
		}
		en.mu.Lock()
		gone := en.gone() != nil
		en.mu.Unlock()
		if !gone {
			r.entries = append(r.entries, ranked{en: en})
		}
	}
	r.others = slices.DeleteFunc(r.others, func(l Listing) bool {
		en := e.index.get(l.Name)
		return en != nil && slices.ContainsFunc(r.entries, func(x ranked) bool { return x.en == en })
	})
	configured := accounts{catalog: *e.catalog.Load()}
	for name, state := range e.grants.each(prefix) {
		r.work.Step()
		if configured.has(name) && may(name) && !r.grants.add(name, state) {
			r.others = append(r.others, Listing{Name: name, State: state})
		}
	}
	slices.SortFunc(r.others, func(a, b Listing) int {
		r.work.Step()
		return strings.Compare(a.Name, b.Name)
	})
	sortByName(r.entries, len(prefix), func() { r.work.Step() })
	// One that has gone and come back meanwhile stands there twice.
	r.entries = slices.CompactFunc(r.entries, func(a, b ranked) bool { return a.key == b.key && a.en.name == b.en.name })
	return r
}

// accounts tells whose credentials there are. It looks up each account of a row once.
type accounts struct {
	catalog Catalog
	last    string // the account that was looked up last, with a slash behind it
	known   bool
}

// has reports whether the account that the grant called name belongs to is configured. One that is
// not keeps its grants, of which nobody is told.
func (a *accounts) has(name string) bool {
	if a.last == "" || !strings.HasPrefix(name, a.last) {
		owner := ownerOf(name)
		_, err := a.catalog.Onboarding(owner)
		a.last, a.known = owner+"/", err == nil
	}
	return a.known
}

// len returns how many all yields.
func (r *roll) len() int { return len(r.entries) + r.grants.n + len(r.others) }

// sameMoment is how many entries are yielded as they are at one look at the clock.
const sameMoment = 256

// all yields them in the order of their names, each as it is at that moment.
func (r *roll) all(yield func(Listing) bool) {
	defer r.work.End()
	grants, others := r.grants.reader(), r.others
	grant, more := grants.next()
	now := r.clock.Now()
	for i, x := range r.entries {
		if i%sameMoment == 0 {
			now = r.clock.Now()
		}
		for more && grant.Name < x.en.name || len(others) > 0 && others[0].Name < x.en.name {
			if r.work.Step(); !next(&grants, &grant, &more, &others, yield) {
				return
			}
		}
		r.work.Step()
		x.en.mu.Lock()
		l := x.en.listingLocked(now)
		x.en.mu.Unlock()
		if !yield(l) {
			return
		}
	}
	for more || len(others) > 0 {
		if r.work.Step(); !next(&grants, &grant, &more, &others, yield) {
			return
		}
	}
}

// next yields the first of a grant and of others, one of which there is.
func next(grants *terseReader, grant *Listing, more *bool, others *[]Listing, yield func(Listing) bool) bool {
	if rest := *others; len(rest) > 0 && (!*more || rest[0].Name < grant.Name) {
		*others = rest[1:]
		return yield(rest[0])
	}
	l := *grant
	*grant, *more = grants.next()
	return yield(l)
}

// ranked is an entry and eight bytes of its name, by which it is sorted: those behind what all have
// in common.
type ranked struct {
	key uint64
	en  *entry
}

// sortByName sorts entries by their names, of which the first depth bytes are equal. It reads each
// name once or twice, not at each comparison: of a million they lie all over the memory. It calls
// step now and then.
func sortByName(all []ranked, depth int, step func()) {
	if len(all) < 2 || depth > len(all[0].en.name) {
		return // the same name, in the latter case
	}
	depth += common(all, depth, step)
	for i := range all {
		step()
		all[i].key = keyAt(all[i].en.name, depth)
	}
	compared := 0
	slices.SortFunc(all, func(a, b ranked) int {
		if compared++; compared%compares == 0 {
			step()
		}
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].key == all[from].key {
			to++
		}
		sortByName(all[from:to], depth+keyBytes, step)
		from = to
	}
}

const (
	// keyBytes is how many bytes of a name a key has.
	keyBytes = 8

	// compares is how many comparisons of two keys are as much work as a step.
	compares = 64
)

// keyAt returns the bytes of name from depth on as a number; what lacks is as zero bytes, which no
// name has.
func keyAt(name string, depth int) uint64 {
	var b [keyBytes]byte
	if depth < len(name) {
		copy(b[:], name[depth:])
	}
	return binary.BigEndian.Uint64(b[:])
}

// common returns how many bytes the names of all have in common from depth on.
func common(all []ranked, depth int, step func()) int {
	first := all[0].en.name[min(depth, len(all[0].en.name)):]
	n := len(first)
	for _, x := range all[1:] {
		step()
		name := x.en.name[min(depth, len(x.en.name)):]
		n = min(n, len(name))
		for k := range n {
			if name[k] != first[k] {
				n = k
				break
			}
		}
		if n == 0 {
			break
		}
	}
	return n
}

// terse is names with a state each, in their order, each as what it has not in common with the one
// before:
//
//	state, bytes in common at the beginning, bytes in common at the end, bytes between them, the bytes
//
// Each of the four numbers is a byte: a name has at most 255.
type terse struct {
	blocks [][]byte // full ones, and the last
	last   string
	n      int
}

// blockSize is that of a block. Blocks are not grown, which would leave twice of it all behind.
const blockSize = 64 << 10

// add adds name, which comes after the one before, or reports that it does not.
func (t *terse) add(name string, state State) bool {
	if t.n > 0 && name <= t.last || len(name) > math.MaxUint8 {
		return false
	}
	short := min(len(name), len(t.last))
	head, tail := 0, 0
	for head < short && name[head] == t.last[head] {
		head++
	}
	for tail < short-head && name[len(name)-1-tail] == t.last[len(t.last)-1-tail] {
		tail++
	}
	between := name[head : len(name)-tail]
	if k := len(t.blocks); k == 0 || len(t.blocks[k-1])+4+len(between) > blockSize {
		t.blocks = append(t.blocks, make([]byte, 0, blockSize))
	}
	b := &t.blocks[len(t.blocks)-1]
	*b = append(*b, byte(state), byte(head), byte(tail), byte(len(between)))
	*b = append(*b, between...)
	t.last, t.n = name, t.n+1
	return true
}

func (t *terse) reader() terseReader { return terseReader{blocks: t.blocks} }

// terseReader reads a terse.
type terseReader struct {
	blocks [][]byte
	at     int
	last   string
}

// next returns the next name and its state, and whether there was one.
func (r *terseReader) next() (Listing, bool) {
	for len(r.blocks) > 0 && r.at == len(r.blocks[0]) {
		r.blocks, r.at = r.blocks[1:], 0
	}
	if len(r.blocks) == 0 {
		return Listing{}, false
	}
	b := r.blocks[0][r.at:]
	state, head, tail, between := State(b[0]), int(b[1]), int(b[2]), int(b[3])
	r.last = r.last[:head] + string(b[4:4+between]) + r.last[len(r.last)-tail:]
	r.at += 4 + between
	return Listing{Name: r.last, State: state}, true
}
