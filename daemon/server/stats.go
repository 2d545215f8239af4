package server

import (
	"cmp"
	"slices"
	"sync/atomic"

	"tokend/daemon/refresh"
	"tokend/protocol"
)

// stats are the server's own counters, since it was made.
type stats struct {
	connections atomic.Int64 // accepted, those turned away among them
	reads       atomic.Int64 // GET and SIGN that were granted
	hits        atomic.Int64 // of these, answered from memory
	waits       atomic.Int64 // of these, those for which no valid value was held
	rejects     atomic.Int64 // REJECT that were granted

	errors [16]atomic.Int64 // by the code's place in protocol.Codes; the last for others
}

// tally is what one session has counted since it last told stats: plain numbers, so
// that a batch of requests costs one atomic addition for each counter and not one for each
// request.
type tally struct {
	reads, hits int64
}

// add tells s, and empties t.
func (t *tally) add(s *stats) {
	if t.reads != 0 {
		s.reads.Add(t.reads)
	}
	if t.hits != 0 {
		s.hits.Add(t.hits)
	}
	*t = tally{}
}

func (s *stats) failed(code protocol.Code) {
	i := slices.Index(protocol.Codes(), code)
	if i < 0 || i >= len(s.errors) {
		i = len(s.errors) - 1
	}
	s.errors[i].Add(1)
}

// list returns the counters. Of the errors, only what has occurred is in it.
func (s *stats) list() []refresh.Stat {
	all := []refresh.Stat{
		{Key: "connections", Value: s.connections.Load()},
		{Key: "hits", Value: s.hits.Load()},
		{Key: "reads", Value: s.reads.Load()},
		{Key: "rejects", Value: s.rejects.Load()},
		{Key: "waits", Value: s.waits.Load()},
	}
	for i, code := range protocol.Codes() {
		if n := s.errors[i].Load(); n > 0 {
			all = append(all, refresh.Stat{Key: "errors:" + string(code), Value: n})
		}
	}
	return all
}

// stats answers with the engine's counters and the server's, sorted by key.
func (s *session) stats() action {
	if !s.granted(protocol.VerbStats) {
		return more
	}
	s.tally.add(&s.server.stats)
	return s.do(func(flush func() error) error {
		all := slices.Concat(s.server.cfg.Engine.Stats(), s.server.stats.list())
		slices.SortFunc(all, func(a, b refresh.Stat) int { return cmp.Compare(a.Key, b.Key) })
		s.out = protocol.AppendCount(s.out, len(all))
		for _, stat := range all {
			s.out = protocol.AppendCounter(s.out, stat.Key, stat.Value)
		}
		return nil
	})
}
