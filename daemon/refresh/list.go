package refresh

import (
	"iter"
	"math"
	"slices"
	"strings"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
)

// List returns how many credentials there are under prefix, of those that may be shown by may (nil:
// all). It yields them sorted by name: the requested ones, and others that the catalog knows. Which
// they are is settled when it returns; how each of them is, when it is yielded. It is for one walk,
// in which the caller may take its time: a million entries and as many grants take 24 MB.
//
// The list is part of work. If the context of work ends, the list ends early.
func (e *Engine) List(work *throttle.Work, prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing]) {
	e.awaitLoaded()
	s := e.snapshot(work, prefix, may)
	return s.len(), s.all
}

// Watch returns what there is under prefix, as List does, and a subscription to every change after
// it. A change that happens before a credential is yielded may be in both.
func (e *Engine) Watch(work *throttle.Work, prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing], w *Watch) {
	e.awaitLoaded()
	w = e.watchers.add(prefix, e.index.len())
	n, all = e.List(work, prefix, may)
	return n, all, w
}

// Subscribe is Watch without the list. It does not wait.
func (e *Engine) Subscribe(prefix string) *Watch { return e.watchers.add(prefix, e.index.len()) }

// snapshot is the credentials that were under a prefix, for a walk in the order of their names. A
// large platform has as many grants as entries, or more, and they are on disk. An entry takes 8
// bytes of the snapshot, a grant those bytes of its name that differ from the name before. The walk
// blocks nobody who changes a credential.
type snapshot struct {
	clock   *clock.Clock
	work    *throttle.Work
	entries []*entry
	grants  nameList
	others  []credential.Listing // what is in neither: sorted by name
}

// snapshot returns what is under prefix and may be shown.
func (e *Engine) snapshot(work *throttle.Work, prefix string, may func(name string) bool) *snapshot {
	if may == nil {
		may = func(string) bool { return true }
	}
	s := &snapshot{clock: e.clock, work: work}
	// First what the catalog knows besides: a credential that is requested during the walk has an
	// entry.
	for name := range (*e.catalog.Load()).Names() {
		if !work.Step() {
			return s
		}
		if strings.HasPrefix(name, prefix) && e.index.get(name) == nil && may(name) {
			s.others = append(s.others, credential.Listing{Name: name, State: credential.Idle})
		}
	}
	s.entries = make([]*entry, 0, e.index.count(prefix, s.work))
	for en := range e.index.each {
		if !work.Step() {
			return s
		}
		if !strings.HasPrefix(en.name, prefix) || !may(en.name) {
			continue
		}
		en.mu.Lock()
		gone := en.gone() != nil
		en.mu.Unlock()
		if !gone {
			s.entries = append(s.entries, en)
		}
	}
	s.others = slices.DeleteFunc(s.others, func(l credential.Listing) bool {
		en := e.index.get(l.Name)
		return en != nil && slices.Contains(s.entries, en)
	})
	configured := accounts{catalog: *e.catalog.Load()}
	for name, state := range e.grants.each(prefix, s.work) {
		if configured.has(name) && may(name) && !s.grants.add(name, state) {
			s.others = append(s.others, credential.Listing{Name: name, State: state})
		}
	}
	slices.SortFunc(s.others, func(a, b credential.Listing) int {
		s.work.Step()
		return strings.Compare(a.Name, b.Name)
	})
	sortByName(s.entries, func() { s.work.Step() })
	// An entry that was dropped and made again during the walk is in there twice.
	s.entries = slices.CompactFunc(s.entries, func(a, b *entry) bool { return a.name == b.name })
	return s
}

// accounts tells whose credentials there are. It looks up each account of a row once.
type accounts struct {
	catalog Catalog
	last    string // the account that was looked up last, with a slash behind it
	known   bool
}

// has reports whether the account that the grant called name belongs to is configured. Another
// account keeps its grants, which are not listed.
func (a *accounts) has(name string) bool {
	if a.last == "" || !strings.HasPrefix(name, a.last) {
		owner := credential.OwnerOf(name)
		_, err := a.catalog.Onboarding(owner)
		a.last, a.known = owner+"/", err == nil
	}
	return a.known
}

// len returns how many all yields.
func (s *snapshot) len() int { return len(s.entries) + s.grants.n + len(s.others) }

// sameMoment is how many entries are yielded as they are at one look at the clock.
const sameMoment = 256

// all yields them in the order of their names, each as it is at that moment.
func (s *snapshot) all(yield func(credential.Listing) bool) {
	defer s.work.End()
	grants, others := s.grants.reader(), s.others
	grant, more := grants.next()
	now := s.clock.Now()
	for i, en := range s.entries {
		if i%sameMoment == 0 {
			now = s.clock.Now()
		}
		for more && grant.Name < en.name || len(others) > 0 && others[0].Name < en.name {
			if !s.work.Step() || !yieldNext(&grants, &grant, &more, &others, yield) {
				return
			}
		}
		if !s.work.Step() {
			return
		}
		en.mu.Lock()
		l := en.listingLocked(now)
		en.mu.Unlock()
		if !yield(l) {
			return
		}
	}
	for more || len(others) > 0 {
		if !s.work.Step() || !yieldNext(&grants, &grant, &more, &others, yield) {
			return
		}
	}
}

// yieldNext yields the first of a grant and of others, one of which there is.
func yieldNext(grants *nameReader, grant *credential.Listing, more *bool, others *[]credential.Listing, yield func(credential.Listing) bool) bool {
	if rest := *others; len(rest) > 0 && (!*more || rest[0].Name < grant.Name) {
		*others = rest[1:]
		return yield(rest[0])
	}
	l := *grant
	*grant, *more = grants.next()
	return yield(l)
}

// compares is how many comparisons of two names are as much work as a step.
const compares = 16

// sortByName sorts entries by their names and calls step now and then.
func sortByName(all []*entry, step func()) {
	compared := 0
	slices.SortFunc(all, func(a, b *entry) int {
		if compared++; compared%compares == 0 {
			step()
		}
		return strings.Compare(a.name, b.name)
	})
}

// nameList is names with a state each, in their order, each as what it has not in common with the
// one before:
//
//	state, bytes in common at the beginning, bytes in common at the end, bytes between them, the bytes
//
// Each of the four numbers is a byte: a name has at most 255.
type nameList struct {
	blocks [][]byte // full ones, and the last
	last   string
	n      int
}

// blockSize is that of a block. Blocks are not grown, which would leave twice of it all behind.
const blockSize = 64 << 10

// add adds name, which comes after the one before, or reports that it does not.
func (t *nameList) add(name string, state credential.State) bool {
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

func (t *nameList) reader() nameReader { return nameReader{blocks: t.blocks} }

// nameReader reads a nameList.
type nameReader struct {
	blocks [][]byte
	at     int
	last   string
}

// next returns the next name and its state, and whether there was one.
func (r *nameReader) next() (credential.Listing, bool) {
	for len(r.blocks) > 0 && r.at == len(r.blocks[0]) {
		r.blocks, r.at = r.blocks[1:], 0
	}
	if len(r.blocks) == 0 {
		return credential.Listing{}, false
	}
	b := r.blocks[0][r.at:]
	state, head, tail, between := credential.State(b[0]), int(b[1]), int(b[2]), int(b[3])
	r.last = r.last[:head] + string(b[4:4+between]) + r.last[len(r.last)-tail:]
	r.at += 4 + between
	return credential.Listing{Name: r.last, State: state}, true
}
