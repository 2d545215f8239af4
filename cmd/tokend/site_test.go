package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// site is a WeChat in the test's process, and daemons in processes of their own.
type site struct {
	t        *testing.T
	dir      string
	wechat   *wechattest.WeChat
	accounts []sandbox.Account
	conf     sandbox.Configuration
	client   *clientlib.Client
	daemon   *exec.Cmd // nil if none runs

	// inPlace starts daemons on the test's thread, which may have its own mounts.
	inPlace bool
}

// newSite returns a site whose configuration begins with more.
func newSite(t *testing.T, more string) *site {
	t.Helper()
	s := newSiteOf(t, wechattest.Settings{})
	s.configure(more, "")
	return s
}

// newSiteOf returns a site without a configuration, whose WeChat has the settings.
func newSiteOf(t *testing.T, settings wechattest.Settings) *site {
	t.Helper()
	// t.TempDir contains the test's name, but a socket's path must be short.
	dir, err := os.MkdirTemp("", "tokend-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &site{t: t, dir: dir, wechat: wechattest.New(settings), accounts: sandbox.Accounts()}
	for _, a := range s.accounts {
		a.AddTo(s.wechat)
	}
	server, err := s.wechat.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s.conf = sandbox.Configuration{Dir: dir, URL: server.URL, Accounts: s.accounts, LogLevel: "trace"}
	s.client = &clientlib.Client{Socket: s.conf.Socket(), Timeout: longEnough}
	t.Cleanup(func() { _ = s.client.Close() })
	return s
}

// configure writes the configuration: keys before the site's own, tables after them.
func (s *site) configure(keys, tables string) {
	s.t.Helper()
	if err := os.WriteFile(s.file(), []byte(keys+s.conf.TOML()+tables), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) file() string { return filepath.Join(s.dir, "tokend.toml") }

// log returns everything that the daemons have written.
func (s *site) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// command returns a daemon that has not been started.
func (s *site) command(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = log.Close() })
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}

// begin starts cmd as the site's daemon, and ends it with the test.
func (s *site) begin(cmd *exec.Cmd) {
	s.t.Helper()
	start := startWithTest
	if s.inPlace {
		start = func(cmd *exec.Cmd) error { return endsWithTest(cmd).Start() }
	}
	if err := start(cmd); err != nil {
		s.t.Fatal(err)
	}
	s.daemon = cmd
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// start starts cmd and waits until it responds.
func (s *site) start(cmd *exec.Cmd) {
	s.t.Helper()
	s.begin(cmd)
	ctx, cancel := context.WithTimeout(s.t.Context(), longEnough)
	defer cancel()
	for {
		err := s.client.Ping(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, clientlib.ErrNoDaemon) {
			s.t.Fatalf("%v\n%s", err, s.log())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *site) serve() {
	s.t.Helper()
	s.start(s.command("tokend", "serve", "--config", s.file()))
}

// end sends sig to the daemon and returns its exit status.
func (s *site) end(sig os.Signal) int {
	s.t.Helper()
	if err := s.daemon.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	return s.ended()
}

func (s *site) ended() int {
	waitOrKill(s.daemon)
	return s.daemon.ProcessState.ExitCode()
}

// everything reads every credential and returns the values by name.
func (s *site) everything() map[string]string {
	s.t.Helper()
	values := map[string]string{}
	for _, a := range s.accounts {
		for _, name := range a.Names() {
			v, err := s.client.Get(s.t.Context(), name)
			if err != nil {
				s.t.Fatal(err)
			}
			values[name] = string(v.Value)
		}
	}
	return values
}

// tokend runs a command line in this process.
func (s *site) tokend(stdin string, args ...string) (stdout, stderr string, code int) {
	getenv := func(key string) string {
		if key == "TOKEND_SOCKET" {
			return s.conf.Socket()
		}
		return ""
	}
	var out, err bytes.Buffer
	code = run(s.t.Context(), args, getenv, strings.NewReader(stdin), &out, &err)
	return out.String(), err.String(), code
}

// waitLog waits until the daemon has written text.
func (s *site) waitLog(text string) {
	s.t.Helper()
	for began := time.Now(); !strings.Contains(s.log(), text); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > longEnough {
			s.t.Fatalf("not logged: %s\n%s", text, s.log())
		}
	}
}
