package server

import (
	"tokend/daemon/access"
	"tokend/protocol"
)

// Counts are the server's counters since it was made, for all users together, and the number of
// open connections.
type Counts struct {
	Open        int64 // connections now
	Connections int64 // accepted, refused ones included
	TurnedAway  int64
	Reads       int64 // GET and SIGN that were granted
	Hits        int64 // of these, answered from memory
	Waits       int64 // of these, without a valid cached value
	Slowed      int64 // pauses because of UserRate
	Unaudited   int64 // audit lines omitted

	Requests []Requests // one for each verb
	Errors   []Errors   // those that are not 0
}

// Requests is how often a verb was requested.
type Requests struct {
	Verb string
	N    int64
}

// Errors is how often a request was answered with a code.
type Errors struct {
	Verb string // "" for an invalid request or a refused connection
	Code string
	N    int64
}

// Counts returns the counters. It takes some microseconds for each user of the host.
func (s *Server) Counts() Counts {
	all := s.users.total()
	c := Counts{
		Open:        s.open.Load(),
		Connections: all.connections.Load(),
		TurnedAway:  all.turnedAway.Load(),
		Reads:       all.reads.Load(),
		Hits:        all.hits.Load(),
		Waits:       all.waits.Load(),
		Slowed:      all.slowed.Load(),
		Unaudited:   all.unaudited.Load(),
	}
	for _, verb := range protocol.Verbs() {
		n := all.asked[verb].Load()
		if verb == protocol.VerbGet {
			n += all.hits.Load() - all.signed.Load()
		}
		c.Requests = append(c.Requests, Requests{verb.String(), n})
	}
	codes := protocol.Codes()
	for verb := range all.errors {
		for i := range all.errors[verb] {
			n := all.errors[verb][i].Load()
			if n == 0 {
				continue
			}
			e := Errors{Code: string(protocol.Internal), N: n}
			if i < len(codes) {
				e.Code = string(codes[i])
			}
			if verb > 0 {
				e.Verb = protocol.Verb(verb).String()
			}
			c.Errors = append(c.Errors, e)
		}
	}
	return c
}

// RightsOf returns what a peer may do under the rules in force.
func (s *Server) RightsOf(p access.Peer) *access.Rights { return s.rules.Load().Of(p) }
