package sdktest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/clientlib"
)

// site is a sandbox and a daemon, in processes of their own. As a RoundTripper it sends an SDK's
// requests to the sandbox.
type site struct {
	t      *testing.T
	url    string // of the sandbox
	tokens *clientlib.Tokens

	mu     sync.Mutex
	bodies []int64  // the lengths of the SDK's requests
	paths  []string // of the SDK's requests
}

const longEnough = 20 * time.Second

// tokend is the program. TestMain builds it.
var tokend string

func TestMain(m *testing.M) { os.Exit(withProgram(m)) }

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-sdk")
	if err == nil {
		defer os.RemoveAll(dir)
		tokend = filepath.Join(dir, "tokend")
		build := exec.Command("go", "build", "-o", tokend, "./cmd/tokend")
		build.Dir = "../.."
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteWith(t, "127.0.0.1:1", "")
}

// newPushedSite returns a site that WeChat's pushes reach, with more text at the end of the
// configuration.
func newPushedSite(t *testing.T, configuration string) *site {
	t.Helper()
	return newSiteWith(t, freeAddress(t), configuration)
}

// newSiteWith returns a site whose daemon listens for pushes at callback, unless its port is 1.
func newSiteWith(t *testing.T, callback, configuration string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	addr := freeAddress(t)
	file := filepath.Join(dir, "tokend.toml")
	start(t, dir, "sandbox", "--listen", addr, "--callback", callback, "--config-out", file)
	s := &site{t: t, url: "http://" + addr, tokens: &clientlib.Tokens{Client: &clientlib.Client{Socket: filepath.Join(dir, "tokend.sock")}}}
	t.Cleanup(func() { _ = s.tokens.Client.Close() })
	until(t, func() error { _, err := http.Get(s.url + "/sandbox/calls"); return err })
	until(t, func() error { _, err := os.Stat(file); return err })
	// Most SDKs need no pushes. The listener for them would need a port of its own.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "[http]\nlisten = \"127.0.0.1:1\"", "", 1) + "\n" + configuration)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, "serve", "--config", file)
	until(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), longEnough)
		defer cancel()
		return s.tokens.Client.Ping(ctx)
	})
	return s
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// start starts a command of tokend and ends it with the test.
func start(t *testing.T, dir string, args ...string) {
	t.Helper()
	startProgram(t, dir, tokend, args...)
}

// startProgram starts a program and ends it with the test. Its log is in dir.
func startProgram(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", strings.Join(args, " "), text)
		}
	})
}

func until(t *testing.T, f func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > longEnough {
			t.Fatal(err)
		}
	}
}

// RoundTrip sends a request for api.weixin.qq.com to the sandbox. What the sandbox does not have is
// echoed, which checks the token as every business API does.
func (s *site) RoundTrip(req *http.Request) (*http.Response, error) {
	base, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, req.ContentLength)
	s.paths = append(s.paths, req.URL.Path)
	s.mu.Unlock()
	sent := req.Clone(req.Context())
	sent.URL.Scheme, sent.URL.Host, sent.Host = base.Scheme, base.Host, ""
	if !fetches(sent.URL.Path) {
		sent.URL.Path = "/sandbox/echo"
	}
	return http.DefaultTransport.RoundTrip(sent)
}

// fetched returns the number of the SDK's own requests for a token or a ticket.
func (s *site) fetched() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range s.paths {
		if fetches(path) {
			n++
		}
	}
	return n
}

// fetches returns whether a path of WeChat is one for tokens or tickets.
func fetches(path string) bool {
	return slices.Contains([]string{
		"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket", "/cgi-bin/ticket/get",
		"/cgi-bin/gettoken", "/cgi-bin/get_jsapi_ticket",
	}, path) || strings.HasPrefix(path, "/cgi-bin/component/") || strings.HasPrefix(path, "/cgi-bin/service/")
}

// kill makes the sandbox refuse the current value of a credential.
func (s *site) kill(name, errcode string) {
	s.t.Helper()
	resp, err := http.Post(s.url+"/sandbox/kill?name="+name+"&errcode="+errcode, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("kill: %s %s", resp.Status, body)
	}
}

// calls returns the number of calls to WeChat, by anybody.
func (s *site) calls() (n int) {
	s.t.Helper()
	resp, err := http.Get(s.url + "/sandbox/calls")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscanf(resp.Body, "total %d\n", &n); err != nil {
		s.t.Fatal(err)
	}
	return n
}
