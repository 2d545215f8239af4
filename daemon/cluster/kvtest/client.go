package kvtest

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"tokend/daemon/cluster"
)

// Client is one host as etcd sees it. Its faults concern all its connections.
type Client struct {
	etcd *Etcd

	// Guarded by etcd.mu.
	choose func(Request) Fault
	limit  string // prefix of the keys that its user may read and write
	cut    bool
	frozen bool
	mute   bool
	broken int
	lag    time.Duration
	held   []func() // requests and answers that wait for Thaw
}

// Client returns the client of a host. It has no faults at first.
func (e *Etcd) Client(host string) *Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.clients[host]
	if c == nil {
		c = &Client{etcd: e}
		e.clients[host] = c
	}
	return c
}

// Dial returns a connection to a member. It does not wait for the member.
func (c *Client) Dial(endpoint string) cluster.KV {
	return &conn{etcd: c.etcd, client: c, member: c.etcd.member(endpoint), closed: make(chan struct{})}
}

// conn is a connection of a client to one member.
type conn struct {
	etcd   *Etcd
	client *Client
	member *member

	once   sync.Once
	closed chan struct{}
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *conn) Range(ctx context.Context, r cluster.Range) (cluster.Page, error) {
	return send(ctx, c, Request{Method: Range, Range: r}, !r.Serializable, func(e *Etcd) (cluster.Page, error) {
		p, err := e.space.page(r)
		if err == nil {
			p.Header = e.header()
		}
		return p, err
	})
}

func (c *conn) Txn(ctx context.Context, t cluster.Txn) (cluster.Outcome, error) {
	return send(ctx, c, Request{Method: Txn, Txn: t}, true, func(e *Etcd) (cluster.Outcome, error) { return e.txn(t) })
}

func (c *conn) Grant(ctx context.Context, ttl time.Duration) (cluster.Lease, time.Duration, error) {
	type granted struct {
		id  cluster.Lease
		ttl time.Duration
	}
	g, err := send(ctx, c, Request{Method: Grant}, true, func(e *Etcd) (g granted, err error) {
		g.id, g.ttl, err = e.grant(ttl)
		return g, err
	})
	return g.id, g.ttl, err
}

func (c *conn) KeepAlive(ctx context.Context, l cluster.Lease) (time.Duration, error) {
	return send(ctx, c, Request{Method: KeepAlive}, true, func(e *Etcd) (time.Duration, error) { return e.keepAlive(l) })
}

func (c *conn) Revoke(ctx context.Context, l cluster.Lease) error {
	_, err := send(ctx, c, Request{Method: Revoke}, true, func(e *Etcd) (struct{}, error) { return struct{}{}, e.revoke(l) })
	return err
}

func (c *conn) Watch(ctx context.Context, prefix string, from int64) iter.Seq2[[]cluster.KeyValue, error] {
	return func(yield func([]cluster.KeyValue, error) bool) {
		w := newWatch(c, prefix, from)
		for {
			changes, err := w.next(ctx)
			if !yield(changes, err) || err != nil {
				return
			}
		}
	}
}

var (
	errClosed  = fmt.Errorf("%w: the client is closed", cluster.ErrUnknown)
	errStopped = fmt.Errorf("%w: connection refused", cluster.ErrUnknown)
)

// unanswered is the error of a request whose context is done.
func unanswered(ctx context.Context) error {
	return fmt.Errorf("%w: %w", cluster.ErrUnknown, context.Cause(ctx))
}

// answer is the result of a request.
type answer[T any] struct {
	value T
	err   error
}

// send sends a request, as the client's faults decide, and returns its answer. apply applies the
// request; it needs a quorum or not.
func send[T any](ctx context.Context, c *conn, r Request, quorum bool, apply func(*Etcd) (T, error)) (T, error) {
	r.Endpoint = c.member.endpoint
	var fault Fault
	c.etcd.mu.Lock()
	choose := c.client.choose
	c.etcd.mu.Unlock()
	if choose != nil {
		fault = choose(r)
	}
	answers := make(chan answer[T], 1) // the first answer counts
	reply := func(value T, err error) {
		select {
		case answers <- answer[T]{value, err}:
		default:
		}
	}
	arrive := func() {
		c.arrive(fault, quorum, func(refused error) {
			if refused != nil {
				reply(*new(T), refused)
				return
			}
			if !r.within(c.client.limit) {
				reply(*new(T), cluster.ErrDenied)
				return
			}
			value, err := apply(c.etcd)
			if !fault.Unseen {
				c.etcd.later(fault.Answer, func() { c.returns(func() { reply(value, err) }) })
			}
		})
	}
	c.etcd.mu.Lock()
	switch {
	case ctx.Err() != nil || c.isClosed(): // nothing is sent
	case fault.Refuse != nil:
		reply(*new(T), fault.Refuse)
	case fault.Lost:
	default:
		c.etcd.later(fault.Delay, arrive)
		if fault.Again > 0 {
			c.etcd.later(fault.Delay+fault.Again, arrive)
		}
	}
	c.etcd.mu.Unlock()
	select {
	case a := <-answers:
		return a.value, a.err
	default:
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), unanswered(ctx)
	case <-c.closed:
		return *new(T), errClosed
	}
}

// arrive takes a request from the client to its member, and from there to the leader. apply then
// applies it or, with an error, refuses it.
func (c *conn) arrive(fault Fault, quorum bool, apply func(refused error)) {
	e := c.etcd
	switch {
	case c.client.cut:
	case fault.Frozen || c.client.frozen:
		fault.Frozen = false
		c.client.held = append(c.client.held, func() { c.arrive(fault, quorum, apply) })
	case c.member.state == stopped:
		apply(errStopped)
	case c.member.state == frozen:
		c.member.held = append(c.member.held, func() { c.arrive(fault, quorum, apply) })
	case quorum && !e.lost.IsZero():
		e.waiting = append(e.waiting, func() { apply(nil) })
	default:
		apply(nil)
	}
}

// returns takes an answer from the member to the client.
func (c *conn) returns(deliver func()) {
	switch {
	case c.client.cut || c.member.state == stopped:
	case c.client.frozen:
		c.client.held = append(c.client.held, func() { c.returns(deliver) })
	case c.member.state == frozen:
		c.member.held = append(c.member.held, func() { c.returns(deliver) })
	default:
		deliver()
	}
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}
