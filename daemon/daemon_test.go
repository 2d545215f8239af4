package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/clientlib"
	"tokend/daemon/config"
	"tokend/daemon/server/socket"
	"tokend/fetchers/wechattest"
)

// site is a fake WeChat and a directory in which tests run daemons.
type site struct {
	t      *testing.T
	wechat *wechattest.WeChat
	url    string
	dir    string
	log    *logBuffer
	client *clientlib.Client
}

// logBuffer is the log at level trace.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const secretCanary = "canary5ecret"

// accountsTOML has accounts of several families. Two apps of one corp are shared with the same
// downstream corp.
const accountsTOML = `
[[official_account]]
app_id = "wxoa"
secret = "` + secretCanary + `-oa"
[[official_account]]
app_id = "wxrotating"
secret = "` + secretCanary + `-rotating"
use_stable_access_token = false
[[mini_program]]
app_id = "wxmini"
secret = "` + secretCanary + `-mini"
[[work]]
corp_id = "wwcorp"
agent_id = "1"
secret = "` + secretCanary + `-app1"
downstream = [{ corp_id = "wwdown", agent_id = "5", business_type = 1 }, { corp_id = "wwlinked", agent_id = "5" }]
[[work]]
corp_id = "wwcorp"
agent_id = "2"
secret = "` + secretCanary + `-app2"
downstream = [{ corp_id = "wwdown", agent_id = "5", business_type = 1 }]
[[open_work]]
corp_id = "wwprovider"
provider_secret = "` + secretCanary + `-provider"
`

func newSite(t *testing.T) *site {
	t.Helper()
	// t.TempDir is too long for a socket's path on some systems.
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := wechattest.New(wechattest.Settings{Register: true})
	srv, err := w.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	s := &site{t: t, wechat: w, url: srv.URL, dir: dir, log: &logBuffer{}}
	s.client = &clientlib.Client{Socket: filepath.Join(dir, "s")}
	t.Cleanup(func() { _ = s.client.Close() })
	return s
}

func (s *site) config(accounts string) *config.Config {
	s.t.Helper()
	text := fmt.Sprintf("socket = %q\nstate_dir = %q\n[upstream]\ntimeout = \"2s\"\nweixin_url = %q\nwork_url = %q\n%s",
		filepath.Join(s.dir, "s"), filepath.Join(s.dir, "state"), s.url, s.url, accounts)
	c, err := config.Parse("test.toml", []byte(text), config.OSEnv())
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// running is a running daemon.
type running struct {
	*Daemon
	stop func()
}

// start runs a daemon on listeners, or at file's path if there are none.
func (s *site) start(file *config.Config, listeners ...net.Listener) *running {
	s.t.Helper()
	ready := make(chan struct{})
	d, err := New(Config{
		File:      file,
		Logger:    hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: s.log}),
		Version:   "test",
		Subuids:   filepath.Join(s.dir, "subuid"), // few tests create this file
		Listeners: listeners,
		Ready:     func() { close(ready) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	<-ready
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	s.t.Cleanup(stop)
	return &running{d, stop}
}

var everything = []string{
	"official_account/wxoa/access_token",
	"official_account/wxoa/jsapi_ticket",
	"official_account/wxoa/wx_card_ticket",
	"official_account/wxoa/sdk_ticket",
	"official_account/wxrotating/access_token",
	"official_account/wxrotating/jsapi_ticket",
	"official_account/wxrotating/sdk_ticket",
	"mini_program/wxmini/access_token",
	"work/wwcorp/1/access_token",
	"work/wwcorp/1/jsapi_ticket",
	"work/wwcorp/1/agent_config_ticket",
	"work/wwcorp/1/wwdown/access_token",
	"work/wwcorp/1/wwlinked/access_token",
	"work/wwcorp/2/access_token",
	"work/wwcorp/2/jsapi_ticket",
	"work/wwcorp/2/agent_config_ticket",
	"work/wwcorp/2/wwdown/access_token",
	"open_work/wwprovider/provider_access_token",
}

func (s *site) readAll() map[string]string {
	s.t.Helper()
	got := map[string]string{}
	for _, name := range everything {
		c, err := s.client.Get(s.t.Context(), name)
		if err != nil {
			s.t.Fatalf("GET %s: %v", name, err)
		}
		got[name] = string(c.Value)
	}
	return got
}

func TestKindsHaveOwnEntries(t *testing.T) {
	s := newSite(t)
	s.start(s.config(accountsTOML))
	values := s.readAll()
	owner := map[string]string{}
	for name, v := range values {
		if other, ok := owner[v]; ok {
			t.Errorf("%s and %s have one value", name, other)
		}
		owner[v] = name
		if !s.wechat.Valid(v) {
			t.Errorf("%s: WeChat does not know the value", name)
		}
	}
	if n := s.wechat.Total(); n != len(everything) {
		t.Errorf("calls: got %d, want one for each of %d", n, len(everything))
	}
	s.readAll()
	if n := s.wechat.Total(); n != len(everything) {
		t.Errorf("calls after reading again: got %d, want no more", n)
	}
}

func TestRestartMakesNoCall(t *testing.T) {
	s := newSite(t)
	d := s.start(s.config(accountsTOML))
	before := s.readAll()
	d.stop()
	calls := s.wechat.Total()
	s.start(s.config(accountsTOML))
	for range 1000 / len(everything) {
		for name, v := range s.readAll() {
			if v != before[name] {
				t.Fatalf("%s changed over a restart", name)
			}
		}
	}
	if n := s.wechat.Total() - calls; n != 0 {
		t.Errorf("calls after the restart: got %d, want 0", n)
	}
}

func TestSecondDaemonRefused(t *testing.T) {
	s := newSite(t)
	file := s.config(accountsTOML)
	s.start(file)
	if _, err := New(Config{File: file}); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("at the same socket: got %v, want ErrRunning", err)
	}
	other := *file
	other.Socket = filepath.Join(s.dir, "other")
	if _, err := New(Config{File: &other}); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("at the same state directory: got %v", err)
	}
	if _, err := os.Lstat(other.Socket); err == nil {
		t.Error("the refused daemon left its socket behind")
	}
	s.readAll()
}

// flooded is a listener whose queue in the kernel stays full, because Accept never accepts.
type flooded struct {
	*net.UnixListener
	closed chan struct{}
	once   sync.Once
}

func (f *flooded) Accept() (net.Conn, error) {
	<-f.closed
	return nil, net.ErrClosed
}

func (f *flooded) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.UnixListener.Close()
}

// flood returns a listener at path whose queue is full.
func flood(t *testing.T, path string) *flooded {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 1) }); err != nil { // a short queue
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		nc, err := net.Dial("unix", path)
		if err != nil {
			return &flooded{UnixListener: ln, closed: make(chan struct{})}
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	t.Skip("this system queues any number of connections")
	return nil
}

// TestOperatorSocket checks that operators are served while the shared socket is flooded.
func TestOperatorSocket(t *testing.T) {
	s := newSite(t)
	file := s.config(accountsTOML)
	d := s.start(file, flood(t, file.Socket))
	path := OperatorSocket(file.StateDir)
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if perm := fi.Mode().Perm(); perm != 0o600 {
		t.Errorf("mode: got %o, want 600", perm)
	}
	operator := &clientlib.Client{Socket: path, Timeout: 5 * time.Second}
	defer operator.Close()
	if nc, err := net.Dial("unix", file.Socket); err == nil {
		nc.Close()
		t.Error("the shared socket is not flooded any more")
	}
	if _, err := operator.Refresh(t.Context(), everything[0]); err != nil {
		t.Error(err)
	}
	d.stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there after the stop")
	}
}

func TestReloadChangedAccountsOnly(t *testing.T) {
	s := newSite(t)
	d := s.start(s.config(accountsTOML))
	before := s.readAll()
	calls := s.wechat.Total()

	fewer := strings.Replace(accountsTOML, `[[mini_program]]
app_id = "wxmini"`, `[[official_account]]
app_id = "wxnew"`, 1)
	if err := d.Reload(t.Context(), s.config(fewer)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Get(t.Context(), "mini_program/wxmini/access_token"); !errors.Is(err, clientlib.ErrNotFound) {
		t.Errorf("the removed account: got %v, want NOT_FOUND", err)
	}
	for name, v := range before {
		if strings.HasPrefix(name, "mini_program/") {
			continue
		}
		if c, err := s.client.Get(t.Context(), name); err != nil || string(c.Value) != v {
			t.Errorf("%s: got another value or %v", name, err)
		}
	}
	if n := s.wechat.Total() - calls; n != 0 {
		t.Errorf("calls by the reload: got %d, want 0", n)
	}
	if _, err := s.client.Get(t.Context(), "official_account/wxnew/access_token"); err != nil {
		t.Errorf("the added account: %v", err)
	}
	moved := s.config(accountsTOML)
	moved.Socket, moved.StateDir = "/elsewhere", "/elsewhere"
	if err := d.Reload(t.Context(), moved); err == nil || strings.Count(err.Error(), "restart") != 2 {
		t.Errorf("a moved socket and state directory: got %v, want both refused", err)
	}
}

func TestReloadReadsSubuids(t *testing.T) {
	s := newSite(t)
	file := s.config(accountsTOML)
	d := s.start(file)
	const malformed = "malformed lines of subordinate uids"
	if got := s.log.String(); strings.Contains(got, malformed) {
		t.Fatalf("the log before the reload:\n%s", got)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "subuid"), []byte("malformed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Reload(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if got := s.log.String(); !strings.Contains(got, malformed) {
		t.Errorf("the log after the reload has nothing of %q:\n%s", malformed, got)
	}
}

func TestCorrectedSecretFetchedAtOnce(t *testing.T) {
	s := newSite(t)
	s.wechat.AddAccount("wxoa", "right")
	const account = "[[official_account]]\napp_id = \"wxoa\"\nsecret = \"%s\"\n"
	d := s.start(s.config(fmt.Sprintf(account, "wrong")))
	for range 10 {
		_, err := s.client.Get(t.Context(), everything[0])
		if !errors.Is(err, clientlib.ErrUpstream) {
			t.Fatalf("got %v, want UPSTREAM", err)
		}
	}
	if n := s.wechat.Total(); n != 1 {
		t.Errorf("calls with a wrong secret: got %d, want 1", n)
	}
	if err := d.Reload(t.Context(), s.config(fmt.Sprintf(account, "right"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Get(t.Context(), everything[0]); err != nil {
		t.Error(err)
	}
}

// TestNoSecretLogged causes many kinds of failures, and searches the log at level trace for
// secrets and values.
func TestNoSecretLogged(t *testing.T) {
	s := newSite(t)
	d := s.start(s.config(accountsTOML))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := []map[string]string{s.readAll()}
	var told strings.Builder
	note := func(err error) {
		if err != nil {
			fmt.Fprintln(&told, err)
		}
	}
	reject := func(v map[string]string) {
		for name, value := range v {
			_, err := s.client.Reject(ctx, name, clientlib.Secret(value))
			note(err)
		}
	}
	for _, f := range []wechattest.Fault{
		{Endpoint: "/cgi-bin/stable_token", Account: "wxoa", Code: 40125, Msg: "invalid secret " + secretCanary + "-oa"},
		{Cut: true}, {Lost: true}, {Status: 502}, {Body: wechattest.HTML}, {Body: wechattest.Truncated},
		{Body: wechattest.Empty}, {Body: wechattest.Huge}, {NoValue: true}, {ExpiresIn: "-1"}, {ExpiresIn: "1e12"}, {ExpiresIn: wechattest.Omit},
	} {
		clear := s.wechat.Inject(f)
		for _, name := range everything {
			_, err := s.client.Refresh(ctx, name)
			note(err)
		}
		reject(seen[len(seen)-1])
		clear()
	}
	seen = append(seen, s.readAll())
	s.wechat.SetAway(true)
	reject(seen[len(seen)-1])
	s.wechat.SetAway(false)
	for _, name := range everything {
		st, err := s.client.Status(ctx, name)
		note(err)
		h, err := s.client.History(ctx, name)
		note(err)
		fmt.Fprintln(&told, st, h)
	}
	stats, err := s.client.Stats(ctx)
	note(err)
	list, err := s.client.List(ctx, "")
	note(err)
	fmt.Fprintln(&told, stats, list)
	d.stop()

	log := s.log.String()
	if !strings.Contains(log, "refresh failed") || !strings.Contains(told.String(), "UPSTREAM") {
		t.Fatalf("the test caused no failure:\n%s\n%s", log, told.String())
	}
	for where, text := range map[string]string{"log": log, "replies": told.String()} {
		if i := strings.Index(text, secretCanary); i >= 0 {
			t.Errorf("a secret in the %s: ...%s", where, text[max(0, i-200):i])
		}
		for _, values := range seen {
			for name, v := range values {
				if i := strings.Index(text, v); i >= 0 {
					t.Errorf("the value of %s in the %s: ...%s", name, where, text[max(0, i-200):i])
				}
			}
		}
	}
}
