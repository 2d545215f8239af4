package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// mistyped is an account whose secret was copied wrong.
const (
	mistyped     = "wxdemomistyped"
	mistypedName = "official_account/" + mistyped + "/access_token"
)

// instance is a WeChat and a daemon that uses it.
type instance struct {
	program string
	conf    sandbox.Configuration
	names   []string // of all credentials that can be fetched
	wechat  *wechattest.WeChat
	server  *wechattest.Server
	daemon  *process // nil if none runs
}

// newInstance creates dir and returns an instance in it. No daemon runs yet.
func newInstance(program, dir string, set wechattest.Settings) (*instance, error) {
	return newInstanceOf(program, dir, set, sandbox.Configuration{})
}

// newInstanceOf is newInstance with the owners and the HTTP of conf.
func newInstanceOf(program, dir string, set wechattest.Settings, conf sandbox.Configuration) (*instance, error) {
	s := &instance{program: program, wechat: wechattest.New(set), conf: conf}
	accounts := sandbox.Accounts()
	for _, a := range accounts {
		a.AddTo(s.wechat)
		s.names = append(s.names, a.Names()...)
	}
	for _, o := range conf.Owners {
		o.AddTo(s.wechat)
	}
	s.wechat.AddAccount(mistyped, "the-secret-as-it-is")
	accounts = append(accounts, sandbox.Account{Family: "official_account", ID: mistyped, Secret: "the-secret-as-it-was-typed"})

	var err error
	if s.server, err = s.wechat.Start(""); err != nil {
		return nil, err
	}
	s.conf.Dir, s.conf.URL, s.conf.Accounts = dir, s.server.URL, accounts
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.leave()
		return nil, err
	}
	if err := os.WriteFile(s.file(), []byte(s.conf.TOML()), 0o600); err != nil {
		s.leave()
		return nil, err
	}
	return s, nil
}

func (s *instance) file() string    { return filepath.Join(s.conf.Dir, "tokend.toml") }
func (s *instance) logFile() string { return filepath.Join(s.conf.Dir, "log") }

// enter starts the daemon and returns when it responds.
func (s *instance) enter(ctx context.Context) (err error) {
	s.daemon, err = start(ctx, s.program, s.file(), s.logFile(), s.conf.Socket())
	return err
}

// leave ends everything that runs.
func (s *instance) leave() {
	if s.daemon != nil {
		s.daemon.kill()
		s.daemon = nil
	}
	_ = s.server.Close()
}

// client returns a client of the daemon. The caller closes it.
func (s *instance) client() *clientlib.Client { return &clientlib.Client{Socket: s.conf.Socket()} }

// tailOf returns the last n lines of a daemon's log.
func tailOf(file string, n int) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil // the daemon was never started
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return lines[max(0, len(lines)-n):]
}

// tempDir creates a directory whose path is short enough for a socket in it. The limit is 107 bytes
// on Linux and 103 on other systems.
func tempDir() (string, error) {
	base := os.TempDir()
	if len(base) > 64 {
		base = "/tmp"
	}
	return os.MkdirTemp(base, "tokend-demo-")
}
