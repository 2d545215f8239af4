package demo

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/clientlib"
)

// clients counts the clients' requests so far. Each client has its own connection, as a process
// would.
type clients struct {
	reads   atomic.Int64 // GET
	rejects atomic.Int64 // REJECT
}

// concurrently runs f for n clients of the daemon at socket at the same time and returns when all
// are done. The first error ends the others.
func (cs *clients) concurrently(ctx context.Context, socket string, n int, f func(ctx context.Context, i int, c *clientlib.Client) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			c := &clientlib.Client{Socket: socket, MaxIdleConns: 1}
			defer c.Close()
			return f(ctx, i, c)
		})
	}
	return g.Wait()
}

func (cs *clients) get(ctx context.Context, c *clientlib.Client, name string) (string, error) {
	cs.reads.Add(1)
	v, err := c.Get(ctx, name)
	return string(v.Value), err
}

func (cs *clients) reject(ctx context.Context, c *clientlib.Client, name, value string) (string, error) {
	cs.rejects.Add(1)
	v, err := c.Reject(ctx, name, clientlib.Secret(value))
	return string(v.Value), err
}

// counts is the number of requests and calls up to a time.
type counts struct {
	reads, rejects int64
	calls          int
	at             time.Time
}

// since returns the current counts, for a later cost.
func (s *stage) since() counts {
	return counts{s.reads.Load(), s.rejects.Load(), s.calls(), time.Now()}
}

// cost prints the requests and calls since before.
func (s *stage) cost(before counts) {
	now := s.since()
	reads, rejects, calls := now.reads-before.reads, now.rejects-before.rejects, now.calls-before.calls
	if rejects > 0 {
		s.say("cost: reads %s, rejects %s, calls to WeChat %d", "合计：读取 %s 次，退回 %s 次，调用微信 %d 次", grouped(reads), grouped(rejects), calls)
		return
	}
	s.say("cost: reads %s, calls to WeChat %d", "合计：读取 %s 次，调用微信 %d 次", grouped(reads), calls)
}
