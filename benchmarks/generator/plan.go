package generator

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of a [Plan].
const (
	// MaxConnections keeps below the ports, descriptors and memory of an ordinary host.
	MaxConnections = 65536

	// MaxBatch is how many bytes may be sent at once: less than the kernel takes into an
	// empty socket (net.core.wmem_default is 208 KiB), so that no send is ever cut.
	MaxBatch = 64 << 10

	// MaxRate is one request for each tick of the clock.
	MaxRate = 1e9
)

// Plan is what is to be asked of whom.
type Plan struct {
	Socket  string
	Dialect Dialect

	// Requests are picked from at random, the same in every run, or, with InTurn, one
	// after the other and round again.
	Requests *Requests
	InTurn   bool

	Connections int  // at once; 0 is 1
	Batch       int  // requests that a connection sends at once; 0 is 1
	Reconnect   bool // a new connection for each request

	// The run ends after Duration or after Count requests, whichever is set.
	Duration time.Duration
	Count    int64

	// Rate is how many requests are due a second, in all; 0 for a closed loop.
	Rate float64

	// WarmUp comes before Duration and is not counted.
	WarmUp time.Duration

	// Timeout is how long nothing may come while something is awaited; 0 is 5 s.
	Timeout time.Duration

	// Threads is how many loops share the work; 0 is 1. Where there are no such loops
	// it is without effect.
	Threads int

	// As are the users of this host who ask, by uid: each makes as many of the connections. None:
	// whoever runs this. It takes root, and such loops.
	As []uint32

	// Gentle has loops give way to whatever else wants their processor. Goroutines do not.
	Gentle bool

	// Portable has goroutines do the work where a loop could.
	Portable bool
}

// Check fills in what is left open and says what cannot be. Run does it too.
func (p *Plan) Check() error {
	p.Connections, p.Batch, p.Threads = max(p.Connections, 1), max(p.Batch, 1), max(p.Threads, 1)
	if p.Timeout == 0 {
		p.Timeout = 5 * time.Second
	}
	switch {
	case p.Requests == nil || p.Requests.Len() == 0:
		return errors.New("there is nothing to ask")
	case (p.Duration > 0) == (p.Count > 0):
		return errors.New("either a duration or a number of requests is needed")
	case p.Count > 0 && p.WarmUp > 0:
		return errors.New("there is no warm-up in a run of so many requests")
	case p.Connections > MaxConnections:
		return fmt.Errorf("there may be %d connections at most", MaxConnections)
	case p.Threads > p.Connections:
		return errors.New("each thread needs a connection")
	case p.Batch > 1 && (p.Reconnect || p.Rate > 0):
		return errors.New("a connection for each request, or a rate, leaves nothing to pipeline")
	case p.Batch*p.Requests.longest() > MaxBatch:
		return fmt.Errorf("more than %d bytes would be sent at once", MaxBatch)
	case len(p.As) > 0 && (p.Portable || !haveLoop):
		return errors.New("only loops can ask as other users")
	case p.Rate < 0 || p.Rate > MaxRate:
		return errors.New("the rate is out of range")
	}
	return nil
}

// share returns the plan of one of the threads: its part of the connections, the rate and the
// count.
func (p Plan) share(thread int) Plan {
	part := func(n int64) int64 {
		t := int64(p.Threads)
		return n*(int64(thread)+1)/t - n*int64(thread)/t
	}
	s := p
	s.Connections = int(part(int64(p.Connections)))
	s.Count = part(p.Count)
	s.Rate = p.Rate / float64(p.Threads)
	return s
}
