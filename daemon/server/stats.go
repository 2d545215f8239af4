package server

import (
	"cmp"
	"slices"
	"sync/atomic"

	"tokend/daemon/credential"
	"tokend/protocol"
)

// stats are what has been done, by one user or by several, since the server was made.
type stats struct {
	connections atomic.Int64 // accepted, those turned away among them
	turnedAway  atomic.Int64 // of these, those for which there was no room
	reads       atomic.Int64 // GET and SIGN that were granted
	hits        atomic.Int64 // of these, answered from memory
	waits       atomic.Int64 // of these, those for which no valid value was held
	rejects     atomic.Int64 // REJECT that were granted
	ousted      atomic.Int64 // idle connections closed to make room for others
	slowed      atomic.Int64 // pauses between requests, since there were too many
	unaudited   atomic.Int64 // audit lines left out, since there were too many

	signed atomic.Int64 // of hits, those that were a SIGN

	// asked is how often each verb was asked for; of GET only what was not a hit, so that a hit is
	// counted once.
	asked [verbCount]atomic.Int64

	// errors are by the verb that was asked for, 0 where there was none, and by the code's place in
	// protocol.Codes, the last for others.
	errors [verbCount][16]atomic.Int64
}

// verbCount is one more than there are verbs: no request has the zero verb.
const verbCount = int(protocol.VerbQuit) + 1

// tally is what one session has counted since it last told stats: plain numbers, so
// that a batch of requests costs one atomic addition for each counter and not one for each
// request.
type tally struct {
	reads, hits, signed int64
}

// add tells s, and empties t.
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

// failed counts an answer to verb; 0 stands for what is no request.
func (s *stats) failed(verb protocol.Verb, code protocol.Code) {
	i := slices.Index(protocol.Codes(), code)
	if i < 0 || i >= len(s.errors[0]) {
		i = len(s.errors[0]) - 1
	}
	s.errors[verb][i].Add(1)
}

// failures returns how many answers had the code at place i.
func (s *stats) failures(i int) (n int64) {
	for verb := range s.errors {
		n += s.errors[verb][i].Load()
	}
	return n
}

// merge adds what other counts.
func (s *stats) merge(other *stats) {
	s.signed.Add(other.signed.Load()) // before the hits that they are of
	for _, pair := range [...][2]*atomic.Int64{
		{&s.connections, &other.connections},
		{&s.turnedAway, &other.turnedAway},
		{&s.reads, &other.reads},
		{&s.hits, &other.hits},
		{&s.waits, &other.waits},
		{&s.rejects, &other.rejects},
		{&s.ousted, &other.ousted},
		{&s.slowed, &other.slowed},
		{&s.unaudited, &other.unaudited},
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

// list returns the counters. What is no part of ordinary days is in it only where it has
// occurred.
func (s *stats) list() []credential.Stat {
	all := []credential.Stat{
		{Key: "connections", Value: s.connections.Load()},
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
	occurred("closed_idle", s.ousted.Load())
	occurred("turned_away", s.turnedAway.Load())
	occurred("slowed", s.slowed.Load())
	occurred("unaudited", s.unaudited.Load())
	for i, code := range protocol.Codes() {
		occurred("errors:"+string(code), s.failures(i))
	}
	return all
}

// stats answers with the engine's counters and the server's, sorted by key. The engine's, and
// what others do, tell of credentials that the peer may not see: unless STATS is granted
// to it on every name, it is told what its own user has done.
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
	s.out = s.codec.count(s.out, len(all))
	for _, stat := range all {
		s.out = s.codec.counter(s.out, stat)
	}
}
