package server

import (
	"cmp"
	"slices"
	"sync/atomic"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// stats are counters of one user, or of several, since the server was made.
type stats struct {
	connections atomic.Int64 // accepted, refused ones included
	turnedAway  atomic.Int64 // of these, refused by BUSY
	reads       atomic.Int64 // GET and SIGN that were granted
	hits        atomic.Int64 // of these, answered from memory
	waits       atomic.Int64 // of these, without a valid cached value
	rejects     atomic.Int64 // REJECT that were granted
	evicted     atomic.Int64 // idle connections closed for others
	slowed      atomic.Int64 // pauses because of UserRate
	unaudited   atomic.Int64 // audit lines omitted
	foreignSets atomic.Int64 // values that programs have fetched for themselves, see foreign.go

	signed atomic.Int64 // of hits, those that were a SIGN

	// asked is how often each verb was requested; of GET without hits, so that a hit is counted
	// once.
	asked [verbCount]atomic.Int64

	// errors are by verb, 0 for none, and by the code's index in protocol.Codes, the last for other
	// codes.
	errors [verbCount][16]atomic.Int64
}

// verbCount is one more than there are verbs: no request has the zero verb.
const verbCount = int(protocol.VerbQuit) + 1

// tally is what a session has counted since it last added to stats. These are plain numbers: many
// requests cost one atomic addition for each counter.
type tally struct {
	reads, hits, signed int64
}

// add adds t to s, and empties t.
func (t *tally) add(s *stats) {
	if t.reads != 0 {
		s.reads.Add(t.reads)
	}
	if t.hits != 0 {
		s.hits.Add(t.hits)
	}
	if t.signed != 0 {
		s.signed.Add(t.signed) // after the hits that they are of
	}
	*t = tally{}
}

// failed counts an error in answer to verb; 0 is for an invalid request.
func (s *stats) failed(verb protocol.Verb, code protocol.Code) {
	i := slices.Index(protocol.Codes(), code)
	if i < 0 || i >= len(s.errors[0]) {
		i = len(s.errors[0]) - 1
	}
	s.errors[verb][i].Add(1)
}

// failures returns how many errors had the code at index i.
func (s *stats) failures(i int) (n int64) {
	for verb := range s.errors {
		n += s.errors[verb][i].Load()
	}
	return n
}

// merge adds other to s.
func (s *stats) merge(other *stats) {
	s.signed.Add(other.signed.Load()) // before the hits that they are of
	for _, pair := range [...][2]*atomic.Int64{
		{&s.connections, &other.connections},
		{&s.turnedAway, &other.turnedAway},
		{&s.reads, &other.reads},
		{&s.hits, &other.hits},
		{&s.waits, &other.waits},
		{&s.rejects, &other.rejects},
		{&s.evicted, &other.evicted},
		{&s.slowed, &other.slowed},
		{&s.unaudited, &other.unaudited},
		{&s.foreignSets, &other.foreignSets},
	} {
		pair[0].Add(pair[1].Load())
	}
	for verb := range s.asked {
		for i := range s.errors[verb] { // before the requests that they are of
			if n := other.errors[verb][i].Load(); n > 0 {
				s.errors[verb][i].Add(n)
			}
		}
		s.asked[verb].Add(other.asked[verb].Load())
	}
}

// list returns the counters. Those of unusual events are included only if they are not 0.
func (s *stats) list() []credential.Stat {
	all := []credential.Stat{
		{Key: "connections", Value: s.connections.Load()},
		{Key: "foreign_sets", Value: s.foreignSets.Load()},
		{Key: "hits", Value: s.hits.Load()},
		{Key: "reads", Value: s.reads.Load()},
		{Key: "rejects", Value: s.rejects.Load()},
		{Key: "waits", Value: s.waits.Load()},
	}
	occurred := func(key string, n int64) {
		if n > 0 {
			all = append(all, credential.Stat{Key: key, Value: n})
		}
	}
	occurred("closed_idle", s.evicted.Load())
	occurred("turned_away", s.turnedAway.Load())
	occurred("slowed", s.slowed.Load())
	occurred("unaudited", s.unaudited.Load())
	for i, code := range protocol.Codes() {
		occurred("errors:"+string(code), s.failures(i))
	}
	return all
}

// stats answers with the engine's counters and the server's, sorted by key. The engine's counters,
// and those of other users, reveal credentials that the peer may not see. So unless STATS is
// granted on every name, the reply has only the counters of the peer's user.
func (s *session) stats() action {
	if !s.rights.Anywhere(protocol.VerbStats) {
		return s.deny(protocol.VerbStats)
	}
	s.tally.add(&s.user.stats)
	if !s.rights.Everywhere(protocol.VerbStats) {
		return s.do(func(func() error) error {
			s.counters(s.user.stats.list())
			return nil
		})
	}
	return s.doWhole(func(func() error) error {
		var all []credential.Stat
		s.timed(lookCost, func() { all = slices.Concat(s.server.cfg.Engine.Stats(), s.server.users.total().list()) })
		s.counters(all)
		return nil
	})
}

// counters answers with all, sorted by key.
func (s *session) counters(all []credential.Stat) {
	slices.SortFunc(all, func(a, b credential.Stat) int { return cmp.Compare(a.Key, b.Key) })
	s.out = s.codec.pairs(s.out, len(all))
	for _, stat := range all {
		s.out = s.codec.counter(s.out, stat)
	}
}
