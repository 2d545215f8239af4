package generator

import (
	"errors"
	"fmt"
	"time"
)

// Limits of a [Plan].
const (
	// MaxConnections stays below the limits of an ordinary host for ports, descriptors and memory.
	MaxConnections = 65536

	// MaxBatch is the maximum number of bytes in one send: less than the kernel accepts on an empty
	// socket (net.core.wmem_default is 208 KiB), so that a send is never partial.
	MaxBatch = 64 << 10

	// MaxRate is one request for each nanosecond.
	MaxRate = 1e9
)

// Plan describes a run: the server and the requests.
type Plan struct {
	Socket  string
	Dialect Dialect

	// Requests are chosen at random, the same in every run. With InTurn they are sent in order,
	// repeatedly.
	Requests *Requests
	InTurn   bool

	Connections int  // at once; 0 means 1
	Batch       int  // requests that a connection sends at once; 0 means 1
	Reconnect   bool // a new connection for each request

	// The run ends after Duration or after Count requests, whichever is set.
	Duration time.Duration
	Count    int64

	// Rate is the total number of requests due per second; 0 means a closed loop.
	Rate float64

	// WarmUp comes before Duration and is not counted.
	WarmUp time.Duration

	// Timeout is the limit for waiting on a reply; 0 means 5 s.
	Timeout time.Duration

	// Threads is the number of loops; 0 means 1. Without loops it has no effect.
	Threads int

	// As are the users, by uid, who send the requests: each opens an equal share of the
	// connections. If empty, the process's own user sends them. It requires root and loops.
	As []uint32

	// Gentle gives loops a low priority on their processor. Goroutines ignore it.
	Gentle bool

	// Portable uses goroutines instead of loops.
	Portable bool
}

// Check sets defaults and returns an error if the plan is impossible. Run calls it too.
func (p *Plan) Check() error {
	p.Connections, p.Batch, p.Threads = max(p.Connections, 1), max(p.Batch, 1), max(p.Threads, 1)
	if p.Timeout == 0 {
		p.Timeout = 5 * time.Second
	}
	switch {
	case p.Requests == nil || p.Requests.Len() == 0:
		return errors.New("there are no requests")
	case (p.Duration > 0) == (p.Count > 0):
		return errors.New("set either a duration or a number of requests")
	case p.Count > 0 && p.WarmUp > 0:
		return errors.New("a run with a number of requests has no warm-up")
	case p.Connections > MaxConnections:
		return fmt.Errorf("at most %d connections are possible", MaxConnections)
	case p.Threads > p.Connections:
		return errors.New("each thread needs a connection")
	case p.Batch > 1 && (p.Reconnect || p.Rate > 0):
		return errors.New("a connection for each request, or a rate, excludes pipelining")
	case p.Batch*p.Requests.longest() > MaxBatch:
		return fmt.Errorf("more than %d bytes would be sent at once", MaxBatch)
	case len(p.As) > 0 && (p.Portable || !haveLoop):
		return errors.New("only loops can send requests as other users")
	case p.Rate < 0 || p.Rate > MaxRate:
		return errors.New("the rate is out of range")
	}
	return nil
}

// share returns the plan of one thread: its part of the connections, the rate and the count.
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
