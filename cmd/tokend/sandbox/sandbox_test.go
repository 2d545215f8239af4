package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/config"
	"tokend/fetchers/wechattest"
)

// screen is the output of a sandbox.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start starts a sandbox and returns a function that ends it.
func start(t *testing.T, cfg Config) (*Sandbox, func()) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	if cfg.Callback == "" {
		cfg.Callback = "127.0.0.1:1" // where nothing listens
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func call(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestCallsShownWithoutSecrets(t *testing.T) {
	var out screen
	s, stop := start(t, Config{Out: &out})
	a := Accounts()[1]
	secretly := "?grant_type=client_credential&appid=" + a.ID + "&secret="
	good := call(t, s.URL+wechattest.Token+secretly+a.Secret)
	call(t, s.URL+wechattest.Token+secretly+"wrong-secret-canary")
	call(t, s.URL+wechattest.Token+"?grant_type=client_credential&appid="+a.Secret+"%0aforged&secret=x")
	stop()

	text := out.String()
	for _, want := range []string{"a new value", "errcode 40125", "(no id: ", "calls in all", a.ID} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	_, rest, _ := strings.Cut(good, `"access_token":"`)
	token, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no token in the answer")
	}
	for _, canary := range []string{a.Secret, "wrong-secret-canary", token, "forged"} {
		if strings.Contains(text, canary) {
			t.Errorf("a secret, a token or a forged line is shown:\n%s", text)
		}
	}
}

func TestConfigurationIsComplete(t *testing.T) {
	c := Configuration{Dir: "/tmp/x", URL: "http://127.0.0.1:8712", Accounts: Accounts(), Owners: Owners(), HTTP: "127.0.0.1:8711", LogLevel: "debug"}
	got, err := config.Parse("sandbox.toml", []byte(c.TOML()), config.OSEnv())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.OfficialAccounts) + len(got.MiniPrograms) + len(got.Work) + len(got.OpenWork); n != len(Accounts()) {
		t.Errorf("accounts: got %d, want %d", n, len(Accounts()))
	}
	if len(got.OpenPlatforms) != 1 || len(got.OpenWork) != 1 || len(got.OpenWork[0].Suites) != 2 || got.HTTP == nil || got.HTTP.Listen != c.HTTP {
		t.Errorf("wrong platforms, suites or [http]:\n%s", c.TOML())
	}
	if d := got.Work[0].Downstream; len(d) != 2 || d[0].AgentID != 1000005 || d[0].BusinessType != 1 || d[1].BusinessType != 0 {
		t.Errorf("downstream corps: got %+v", d)
	}
	if len(got.Warnings) > 0 {
		t.Errorf("warnings: %v", got.Warnings)
	}
	if got.Socket != c.Socket() || got.Upstream.WorkURL != c.URL || got.LogLevel != "debug" {
		t.Errorf("got socket %s, work_url %s, log_level %s", got.Socket, got.Upstream.WorkURL, got.LogLevel)
	}
}

func TestLoopbackByDefault(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		if _, err := Start(Config{Listen: listen, Out: io.Discard}); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: got %v, want %v", listen, err, ErrNotLoopback)
		}
	}
	s, err := Start(Config{Listen: "0.0.0.0:0", Remote: true, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	if _, err := Start(Config{Listen: "8712", Out: io.Discard}); err == nil {
		t.Error("an address without a port was accepted")
	}
}

func TestLatencyWithFault(t *testing.T) {
	fault, err := ParseFault("errcode=45009,times=1")
	if err != nil {
		t.Fatal(err)
	}
	var out screen
	const latency = 50 * time.Millisecond
	s, _ := start(t, Config{Out: &out, Latency: latency, Faults: []wechattest.Fault{fault}})
	a := Accounts()[1]
	url := s.URL + wechattest.Token + "?grant_type=client_credential&appid=" + a.ID + "&secret=" + a.Secret
	for i, want := range []string{`"errcode":45009`, "access_token"} {
		began := time.Now()
		got := call(t, url)
		if !strings.Contains(got, want) {
			t.Errorf("call %d: no %s in the answer", i+1, want)
		}
		if took := time.Since(began); took < latency {
			t.Errorf("call %d took %s, want at least %s", i+1, took, latency)
		}
	}
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	p := newWeb(t)
	var out screen
	s, _ := start(t, Config{Out: &out, Callback: p.address(), Lifetime: time.Second, ExpiredIsInvalid: true, ShuffleEvents: true, Seed: 1})
	plain := func(s *Sandbox) string { return string(s.wechat.TicketPush("wwsandboxsuite").Plain) }
	twin, _ := start(t, Config{Out: io.Discard, ShuffleEvents: true, Seed: 1})
	orders := map[int]bool{}
	for range 20 {
		orders[strings.Index(plain(twin), "<InfoType>")] = true
	}
	if len(orders) < 2 {
		t.Errorf("the elements of events have %d orders", len(orders))
	}
	a := Accounts()[3]
	_, rest, _ := strings.Cut(call(t, s.URL+wechattest.CorpToken+"?corpid="+a.ID+"&corpsecret="+a.Secret), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	time.Sleep(1100 * time.Millisecond)
	if got := call(t, s.URL+wechattest.CorpTicket+"?access_token="+token); !strings.Contains(got, `"errcode":40014`) {
		t.Errorf("an expired token: got %s, want 40014", got)
	}
}

func TestParseFault(t *testing.T) {
	good := map[string]wechattest.Fault{
		"errcode=45009,endpoint=/cgi-bin/token,account=wx1,times=3": {Code: 45009, Endpoint: "/cgi-bin/token", Account: "wx1", Times: 3},
		"errcode=-1":        {Code: -1},
		"status=502":        {Status: 502},
		"delay=2s,cut":      {Delay: 2 * time.Second, Cut: true},
		"lost":              {Lost: true},
		"hang":              {Hang: true},
		"no_value":          {NoValue: true},
		"no_grant":          {NoGrant: true},
		"no_tokens":         {NoTokens: true},
		`expires_in="7200"`: {ExpiresIn: `"7200"`},
		"expires_in=omit":   {ExpiresIn: wechattest.Omit},
		"body=html":         {Body: wechattest.HTML},
		"body=empty":        {Body: wechattest.Empty},
		"body=truncated":    {Body: wechattest.Truncated},
		"body=huge":         {Body: wechattest.Huge},
	}
	for s, want := range good {
		if got, err := ParseFault(s); err != nil || got != want {
			t.Errorf("%s: got %+v, %v\nwant %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "errcode", "errcode=", "errcode=0", "errcode=x", "status=99", "times=0", "delay=-1s", "delay=2",
		"cut=yes", "no_tokens=1", "body=xml", "nonsense", "nonsense=1", "cut,"} {
		if got, err := ParseFault(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, got)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Accounts() {
		for _, name := range a.Names() {
			if seen[name] {
				t.Errorf("%s twice", name)
			}
			seen[name] = true
		}
	}
	if len(seen) != 18 {
		t.Errorf("names: got %d, want 18", len(seen))
	}
}
