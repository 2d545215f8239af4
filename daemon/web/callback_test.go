package web_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/inbox"
	"tokend/daemon/web"
	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

// These tests run a WeChat against the real inbox.

const (
	platformID  = "wxaaaabbbbcccc0001"
	platformTok = "selfTok1"
	platformKey = "tokendSelfMadeKey0000000000000000000000001Z"
	suiteID     = "ww0000000000suite1"
	providerID  = "wwprovidercorp01"
	suiteTok    = "selfTok2"
	suiteKey    = "ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0"
)

// engine counts the calls that it receives.
type engine struct {
	calls atomic.Int64
	act   func(ctx context.Context) error // nil: every call succeeds
}

func (e *engine) keep(ctx context.Context) error {
	e.calls.Add(1)
	if e.act != nil {
		return e.act(ctx)
	}
	return nil
}

func (e *engine) Push(ctx context.Context, _ string, _ secret.Text, _ time.Time) error {
	return e.keep(ctx)
}

func (e *engine) Accept(ctx context.Context, _ string, _ secret.Text, _, _ time.Time) error {
	return e.keep(ctx)
}

func (e *engine) AcceptFrom(ctx context.Context, _, _ string, _ secret.Text, _, _ time.Time) error {
	return e.keep(ctx)
}

func (e *engine) Revoke(ctx context.Context, _ string, _ time.Time) error { return e.keep(ctx) }

func mustCallback(t testing.TB, token, key secret.Text, receivers ...string) *fetchers.Callback {
	t.Helper()
	c, err := fetchers.NewCallback(token, key, receivers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newTestSite returns a server for a platform and a suite, in front of e.
func newTestSite(t testing.TB, e *engine) *web.Server {
	t.Helper()
	b := inbox.New(inbox.Config{Engine: e})
	grant := func(child string) string { return child }
	b.SetOwners([]inbox.Owner{
		{
			Path: "open_platform/" + platformID, Ticket: "ticket", Grant: grant, CodeLife: time.Hour,
			Callback: mustCallback(t, platformTok, platformKey, platformID),
		},
		{
			Path: "open_work/" + suiteID, Ticket: "ticket", Grant: grant, CodeLife: time.Hour,
			Callback: mustCallback(t, suiteTok, suiteKey, suiteID, providerID),
			Verify:   mustCallback(t, suiteTok, suiteKey, providerID),
		},
	})
	return web.New(web.Config{Inbox: b})
}

// newTestWeChat returns a WeChat that pushes to h.
func newTestWeChat(t testing.TB, h http.Handler) *wechattest.WeChat {
	t.Helper()
	w := wechattest.New(wechattest.Settings{PushTransport: wechattest.HandlerTransport(h)})
	w.AddPlatform(platformID, "platform-secret", platformTok, platformKey)
	w.AddSuite(providerID, suiteID, "suite-secret", suiteTok, suiteKey)
	w.SetCallback(platformID, "http://tokend/callback/open_platform/"+platformID)
	w.SetCallback(suiteID, "http://tokend/callback/open_work/"+suiteID)
	return w
}

func TestWeChatPushes(t *testing.T) {
	e := new(engine)
	w := newTestWeChat(t, newTestSite(t, e))
	for range 20 { // each echo has different characters that a URL escapes
		if err := w.VerifyCallback(t.Context(), suiteID); err != nil {
			t.Fatalf("verification: %v", err)
		}
	}
	for _, owner := range []string{platformID, suiteID} {
		for _, q := range []wechattest.Quirks{{}, {NoCDATA: true}, {Blanks: true}, {Shuffled: true}, {Age: 11 * time.Hour}} {
			w.SetQuirks(owner, q)
			if d := w.Send(t.Context(), owner, w.TicketPush(owner)); d.Status != 200 || d.Body != "success" {
				t.Errorf("%s with %+v: %d %q", owner, q, d.Status, d.Body)
			}
		}
	}
	if n := e.calls.Load(); n != 10 {
		t.Errorf("%d calls to the engine, want 10", n)
	}
	for owner, q := range map[string]wechattest.Quirks{
		platformID: {BadSignature: true},
		suiteID:    {Receiver: "wwelsewhere"},
	} {
		w.SetQuirks(owner, q)
		if d := w.Send(t.Context(), owner, w.TicketPush(owner)); d.Status != 403 || strings.Contains(d.Body, "success") {
			t.Errorf("%s with %+v: %d %q, want 403", owner, q, d.Status, d.Body)
		}
	}
	if n := e.calls.Load(); n != 10 {
		t.Errorf("a rejected push reached the engine")
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func (unread) Close() error { return nil }

func TestCheckBeforeBody(t *testing.T) {
	s := newTestSite(t, new(engine))
	right := strings.Repeat("0a", 20)
	for query, status := range map[string]int{
		"":                                    403,
		"msg_signature=x&timestamp=1&nonce=n": 403,
		"msg_signature=" + strings.ToUpper(right) + "&timestamp=1&nonce=n": 403,
		"msg_signature=" + right + "&timestamp=1":                          403,
		"msg_signature=" + right + "&timestamp=x&nonce=n":                  400,
		"msg_signature=" + right + "&timestamp=1&nonce=%00":                400,
	} {
		r := httptest.NewRequest("POST", "/callback/open_work/"+suiteID+"?"+query, unread{t})
		r.ContentLength = 1 << 20
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		if rec.Code != status {
			t.Errorf("%s: answered %d, want %d", query, rec.Code, status)
		}
	}
}

// WeChat gets its answer within a second. The answer is success only if the push was stored.
func TestAnswerInTime(t *testing.T) {
	for _, test := range []struct {
		name   string
		act    func(ctx context.Context) error
		status int
		took   time.Duration
	}{
		{"stored", nil, 200, 0},
		{"stored at the last moment", func(context.Context) error { time.Sleep(899 * time.Millisecond); return nil }, 200, 899 * time.Millisecond},
		{"disk full", func(context.Context) error { return errors.New("no space left on device") }, 503, 0},
		{"engine times out", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 503, 900 * time.Millisecond},
		{"engine hangs", func(context.Context) error { time.Sleep(time.Minute); return nil }, 503, 950 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestSite(t, &engine{act: test.act})
				w := newTestWeChat(t, s)
				p := w.EventPush(suiteID, wechattest.Event{Kind: "create_auth", Code: strings.Repeat("c", 64)})
				r, err := p.Request(t.Context(), "http://tokend/callback/open_work/"+suiteID)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				rec := httptest.NewRecorder()
				s.ServeHTTP(rec, r)
				if took := time.Since(start); took != test.took {
					t.Errorf("answered after %v, want %v", took, test.took)
				}
				if rec.Code != test.status || strings.Contains(rec.Body.String(), "success") != (test.status == 200) {
					t.Errorf("answered %d %q, want %d", rec.Code, rec.Body, test.status)
				}
				time.Sleep(time.Minute) // wait for the abandoned call
			})
		})
	}
}

func BenchmarkPush(b *testing.B) {
	s := newTestSite(b, new(engine))
	w := newTestWeChat(b, s)
	p := w.TicketPush(platformID)
	for b.Loop() {
		r, err := p.Request(b.Context(), "http://tokend/callback/open_platform/"+platformID)
		if err != nil {
			b.Fatal(err)
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}

// FuzzCallback sends arbitrary requests to the callback URLs of a platform and a suite.
func FuzzCallback(f *testing.F) {
	w := wechattest.New(wechattest.Settings{})
	w.AddPlatform(platformID, "platform-secret", platformTok, platformKey)
	w.AddSuite(providerID, suiteID, "suite-secret", suiteTok, suiteKey)
	for _, p := range []wechattest.Push{w.TicketPush(platformID), w.EventPush(platformID, wechattest.Event{Kind: "unauthorized", Child: "wxchild"})} {
		f.Add("POST", "/callback/open_platform/"+platformID, p.Query.Encode(), p.Body)
	}
	for _, p := range []wechattest.Push{w.TicketPush(suiteID), w.EventPush(suiteID, wechattest.Event{Kind: "create_auth", Code: "code"})} {
		f.Add("POST", "/callback/open_work/"+suiteID, p.Query.Encode(), p.Body)
	}
	query, _ := w.Verification(suiteID)
	f.Add("GET", "/callback/open_work/"+suiteID, query.Encode(), []byte(nil))
	f.Add("GET", "/healthz", "", []byte(nil))
	f.Add("HEAD", "/callback/open_work/../"+suiteID, "echostr=%", []byte("<xml/>"))

	statuses := []int{200, 400, 403, 404, 405, 413}
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte) {
		e := new(engine)
		s := newTestSite(t, e)
		r := httptest.NewRequest("POST", "/", strings.NewReader(string(body)))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		if !slices.Contains(statuses, rec.Code) {
			t.Errorf("status %d", rec.Code)
		}
		acknowledged := rec.Code == 200 && rec.Body.String() == "success"
		if strings.Contains(rec.Body.String(), "success") && !acknowledged {
			t.Errorf("status %d with %q", rec.Code, hex.EncodeToString(rec.Body.Bytes()))
		}
		if e.calls.Load() > 0 && !acknowledged {
			t.Errorf("kept, and answered %d", rec.Code)
		}
		if rec.Code == 200 && method != "POST" && method != "GET" && method != "HEAD" {
			t.Errorf("method %q was answered 200", method)
		}
	})
}
