package web

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/credential"
)

// Owners that the fake inbox knows, and an unknown one.
const (
	platform = "open_platform/wxcomponent"
	suite    = "open_work/wwsuite"
	stranger = "open_work/wwstranger"
)

// genuine is the signature that the fake inbox accepts.
const genuine = "genuine"

// fakeInbox is an inbox that accepts pushes with the signature genuine.
type fakeInbox struct {
	act func(ctx context.Context) error // the result of a genuine push; nil for success

	mu     sync.Mutex
	bodies []string
	echoes []string
}

func (f *fakeInbox) Knows(owner string) (known, verified bool) {
	return owner == platform || owner == suite, owner == suite
}

func (f *fakeInbox) Check(_, signature, timestamp, nonce string) error {
	if signature == "" || timestamp == "" || nonce == "" {
		return &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "wrong signature"}
	}
	return nil
}

func (f *fakeInbox) Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error {
	if signature != genuine || timestamp != "1700000000" || nonce != "n" {
		return &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "wrong signature"}
	}
	if bytes.HasPrefix(body, []byte("malformed")) {
		return &credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: "malformed"}
	}
	if f.act != nil {
		if err := f.act(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies = append(f.bodies, owner+" "+string(body))
	return nil
}

func (f *fakeInbox) Verify(owner, signature, timestamp, nonce, echo string) ([]byte, error) {
	if signature != genuine {
		return nil, &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "wrong signature"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.echoes = append(f.echoes, echo)
	return []byte("4611686018427387905"), nil
}

// kept returns how many pushes were stored.
func (f *fakeInbox) kept() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

// log is the log of a test's server.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newTestServer returns a server in front of inbox, and its log.
// A nil inbox is a server without callback URLs.
func newTestServer(t testing.TB, cfg Config, inbox Inbox) (*Server, *log) {
	t.Helper()
	out := new(log)
	cfg.Inbox = inbox
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: out, DisableTime: true})
	return New(cfg), out
}
