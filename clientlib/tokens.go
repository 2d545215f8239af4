package clientlib

import (
	"container/list"
	"context"
	"crypto/sha256"
	"sync"
)

// Tokens connects an SDK for WeChat to the daemon. A [Source] answers the SDK's questions for a
// token or a ticket. The [http.RoundTripper] of Transport notices that WeChat refuses a token that
// a Source of the same Tokens has returned, reports it to the daemon, and repeats the request. The
// SDK needs no secret.
//
// The zero Tokens uses a zero [Client]. Tokens is safe for concurrent use and must not be copied.
type Tokens struct {
	// Client asks the daemon. Nil means a Client of its own with the default settings.
	Client *Client

	own    Client
	handed memory
}

// Source returns the source of one credential. Its values are never cached: it asks the daemon each
// time, which takes microseconds.
func (t *Tokens) Source(name string) *Source { return &Source{tokens: t, name: name} }

// Use is [Client.Use] of t's Client.
func (t *Tokens) Use(ctx context.Context, name string, f func(ctx context.Context, value Secret) error) error {
	return t.client().Use(ctx, name, f)
}

func (t *Tokens) client() *Client {
	if t.Client != nil {
		return t.Client
	}
	return &t.own
}

// get returns a valid value and remembers it.
func (t *Tokens) get(ctx context.Context, name string) (Credential, error) {
	cred, err := t.client().Get(ctx, name)
	if err == nil {
		t.handed.add(cred.Value, name)
	}
	return cred, err
}

// reject rejects a value, and returns and remembers the one to use instead.
func (t *Tokens) reject(ctx context.Context, name string, value Secret) (Credential, error) {
	cred, err := t.client().Reject(ctx, name, value)
	if err == nil {
		t.handed.add(cred.Value, name)
	}
	return cred, err
}

// maxHanded limits a memory. A value is needed from its use in a request until the response. So the
// limit is far above the number of customers that one process serves at the same time.
const maxHanded = 4096

// memory knows the names of the values that were handed out last. It keeps digests: fmt would print
// values in a map of an unexported field.
type memory struct {
	mu    sync.Mutex
	known map[digest]*list.Element // of handedOut
	order list.List                // the last one first
}

type digest [sha256.Size]byte

type handedOut struct {
	value digest
	name  string
}

func (m *memory) add(value Secret, name string) {
	sum := sha256.Sum256([]byte(value))
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[sum]; ok {
		e.Value = handedOut{sum, name}
		m.order.MoveToFront(e)
		return
	}
	if m.known == nil {
		m.known = make(map[digest]*list.Element)
	}
	m.known[sum] = m.order.PushFront(handedOut{sum, name})
	if m.order.Len() > maxHanded {
		oldest := m.order.Remove(m.order.Back()).(handedOut)
		delete(m.known, oldest.value)
	}
}

// name returns the name of the credential whose value was handed out.
func (m *memory) name(value Secret) (name string, ok bool) {
	sum := sha256.Sum256([]byte(value))
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[sum]
	if !ok {
		return "", false
	}
	return e.Value.(handedOut).name, true
}
