package cluster

import (
	"context"
	"errors"
	"sync"
	"time"
)

// requestTimeout is how long a host waits for an answer before it uses another endpoint. etcd
// answers within milliseconds. A frozen member never answers, and its watches are silent.
const requestTimeout = 1500 * time.Millisecond

// Link is a host's connection to etcd: one client of one endpoint at a time. A client of several
// endpoints does not notice a frozen one: every request that it sends there waits for its deadline.
// The methods may be called concurrently.
type Link struct {
	dial      func(endpoint string) (KV, error)
	endpoints []string

	mu     sync.Mutex
	kv     KV  // nil until the next request
	at     int // index of the endpoint
	moves  int
	closed bool
}

var errLinkClosed = errors.New("the link to etcd is closed")

// NewLink returns a Link to the first of endpoints. It does not dial yet. There is at least one
// endpoint.
func NewLink(endpoints []string, dial func(endpoint string) (KV, error)) *Link {
	return &Link{dial: dial, endpoints: endpoints}
}

// Do makes one request, which ends after 1.5 s at the latest. If it has no answer, the link moves
// to the next endpoint. The caller decides whether to repeat the request.
func (l *Link) Do(ctx context.Context, request func(context.Context, KV) error) error {
	kv, at, err := l.client()
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, requestTimeout)
		err = request(limited, kv)
		cancel()
	}
	if err != nil && !Refused(err) && ctx.Err() == nil {
		l.Move(at)
	}
	return err
}

// txn makes one transaction, as Do makes a request.
func (l *Link) txn(ctx context.Context, t Txn) (o Outcome, err error) {
	err = l.Do(ctx, func(ctx context.Context, kv KV) (err error) {
		o, err = kv.Txn(ctx, t)
		return err
	})
	return o, err
}

// client returns the current client and the count of moves, for [Link.Move].
func (l *Link) client() (KV, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, l.moves, errLinkClosed
	}
	var err error
	if l.kv == nil {
		l.kv, err = l.dial(l.endpoints[l.at])
	}
	return l.kv, l.moves, err
}

// Move moves the link to the next endpoint, unless it has moved since the count was seen. Requests
// and watches of the old client end.
func (l *Link) Move(seen int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moves != seen || l.closed {
		return
	}
	l.moves++
	l.at = (l.at + 1) % len(l.endpoints)
	l.drop()
}

// drop closes the client. l.mu is held.
func (l *Link) drop() {
	if l.kv != nil {
		_ = l.kv.Close() // no request on it counts any more
		l.kv = nil
	}
}

// Moves returns how often the link has moved.
func (l *Link) Moves() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moves
}

// Close ends all requests. Later ones fail.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.drop()
}
