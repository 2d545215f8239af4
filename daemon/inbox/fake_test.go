package inbox

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

// The accounts of the test vectors.
const (
	platformID  = "wxaaaabbbbcccc0001"
	platform    = "open_platform/" + platformID
	platformTok = "selfTok1"
	platformKey = "tokendSelfMadeKey0000000000000000000000001Z"

	suiteID    = "ww0000000000suite1"
	suite      = "open_work/" + suiteID
	providerID = "wwprovidercorp01"
	suiteTok   = "selfTok2"
	suiteKey   = "ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0"
)

// call is a call to the engine in comparable form.
type call struct {
	method, name, value string
	at, until           time.Time
}

// fakeEngine records its calls.
type fakeEngine struct {
	act func(ctx context.Context) error // nil: every call succeeds

	mu    sync.Mutex
	calls []call
}

func (f *fakeEngine) note(ctx context.Context, c call) error {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	if f.act != nil {
		return f.act(ctx)
	}
	return nil
}

func (f *fakeEngine) Push(ctx context.Context, name string, ticket secret.Text, at time.Time) error {
	return f.note(ctx, call{method: "push", name: name, value: string(ticket), at: at})
}

func (f *fakeEngine) Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error {
	return f.note(ctx, call{method: "accept", name: owner, value: string(code), at: at, until: until})
}

func (f *fakeEngine) AcceptFrom(ctx context.Context, owner, child string, code secret.Text, at, until time.Time) error {
	return f.Accept(ctx, owner+"/"+child, code, at, until)
}

func (f *fakeEngine) Revoke(ctx context.Context, grant string, at time.Time) error {
	return f.note(ctx, call{method: "revoke", name: grant, at: at})
}

// taken returns the calls since the previous taken.
func (f *fakeEngine) taken() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func mustCallback(t testing.TB, token, key string, receivers ...string) *fetchers.Callback {
	t.Helper()
	c, err := fetchers.NewCallback(secret.Text(token), secret.Text(key), receivers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func platformOwner(t testing.TB) Owner {
	return Owner{
		Path:     platform,
		Callback: mustCallback(t, platformTok, platformKey, platformID),
		Ticket:   platform + "/component_verify_ticket",
		Grant:    func(child string) string { return platform + "/" + child + "/refresh_token" },
		CodeLife: time.Hour,
	}
}

func suiteOwner(t testing.TB) Owner {
	return Owner{
		Path:     suite,
		Callback: mustCallback(t, suiteTok, suiteKey, suiteID, providerID),
		Verify:   mustCallback(t, suiteTok, suiteKey, providerID),
		Ticket:   suite + "/suite_ticket",
		Grant:    func(child string) string { return suite + "/" + child + "/permanent_code" },
		CodeLife: 10 * time.Minute,
	}
}

// newTestInbox returns an inbox with the two owners, its engine and its log.
func newTestInbox(t testing.TB) (*Inbox, *fakeEngine, *bytes.Buffer) {
	t.Helper()
	engine, out := new(fakeEngine), new(bytes.Buffer)
	b := New(Config{Engine: engine, Logger: hclog.New(&hclog.LoggerOptions{
		Level: hclog.Trace, Output: out, Mutex: new(sync.Mutex), DisableTime: true,
	})})
	b.SetOwners([]Owner{platformOwner(t), suiteOwner(t)})
	return b, engine, out
}

// newTestWeChat returns a WeChat with the two owners.
func newTestWeChat(t testing.TB) *wechattest.WeChat {
	t.Helper()
	w := wechattest.New(wechattest.Settings{})
	w.AddPlatform(platformID, "platform-secret", platformTok, platformKey)
	w.AddSuite(providerID, suiteID, "suite-secret", suiteTok, suiteKey)
	return w
}

// post delivers p as an HTTP callback and as PUSH. Both must have the same result.
func post(t testing.TB, b *Inbox, owner string, p wechattest.Push) error {
	t.Helper()
	byBody := b.Envelope(t.Context(), owner, p.MsgSignature, p.Timestamp, p.Nonce, p.Body)
	byFields := b.Receive(t.Context(), owner, p.MsgSignature, p.Timestamp, p.Nonce, p.Encrypt)
	if fmt.Sprint(byBody) != fmt.Sprint(byFields) {
		t.Errorf("by HTTP: %v\nby PUSH: %v", byBody, byFields)
	}
	return byBody
}

// sealed returns a push with any text and receiver.
func sealed(t testing.TB, token, key, receiver, plain string) wechattest.Push {
	t.Helper()
	encrypt, err := wechattest.Seal(key, [16]byte([]byte("0123456789abcdef")), []byte(plain), receiver)
	if err != nil {
		t.Fatal(err)
	}
	p := wechattest.Push{Timestamp: "1700000000", Nonce: "n-0001", Encrypt: encrypt}
	p.MsgSignature = wechattest.Signature(token, p.Timestamp, p.Nonce, encrypt)
	p.Body = []byte("<xml><Encrypt>" + encrypt + "</Encrypt></xml>")
	return p
}
