package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"tokend/fetchers/wechattest"
)

// Where things are unless told otherwise.
const (
	DefaultListen   = "127.0.0.1:8712" // the sandbox
	DefaultCallback = "127.0.0.1:8711" // tokend's [http]
)

// Config says what a sandbox is like.
type Config struct {
	// Listen is host:port; empty stands for DefaultListen.
	Listen string

	// Callback is the host:port at which tokend takes what is pushed to the platform and the
	// suites; empty stands for DefaultCallback.
	Callback string

	// Remote allows an address that other hosts can reach.
	Remote bool

	// Lifetime is how long tokens and tickets live; zero stands for two hours.
	Lifetime time.Duration

	// Latency is how long each answer takes.
	Latency time.Duration

	// Faults are what goes wrong; the first that fits a call befalls it.
	Faults []wechattest.Fault

	// AnyAccount accepts accounts that are not the sandbox's own: the secret of
	// the first call is the account's.
	AnyAccount bool

	// ExpiredIsInvalid makes WeCom answer 40014, not 42001, for an expired token.
	ExpiredIsInvalid bool

	// ShuffleEvents pushes the elements of messages in another order each time.
	ShuffleEvents bool

	// Seed makes values and orders the same in each run; zero makes them different.
	Seed uint64

	// Out is where calls are written as they come.
	Out io.Writer
}

// ErrNotLoopback says that a sandbox would have been open to other hosts.
var ErrNotLoopback = errors.New("the address can be reached from other hosts, and a sandbox is open to everybody")

// Sandbox is one that answers. Make it with [Start].
type Sandbox struct {
	// URL is where it is, for [upstream].
	URL string

	callback string
	owners   []Owner
	wechat   *wechattest.WeChat
	server   *wechattest.Server
	calls    *calls

	welcomed sync.Map // ids of owners whose customer has come
}

// Start starts a sandbox, which answers from then on. Run or Close ends it.
func Start(cfg Config) (*Sandbox, error) {
	listen := cfg.Listen
	if listen == "" {
		listen = DefaultListen
	}
	if local, err := loopback(listen); err != nil {
		return nil, err
	} else if !local && !cfg.Remote {
		return nil, fmt.Errorf("%s: %w", listen, ErrNotLoopback)
	}
	s := &Sandbox{callback: cmp.Or(cfg.Callback, DefaultCallback), owners: Owners(), calls: newCalls(cfg.Out)}
	s.wechat = wechattest.New(wechattest.Settings{
		Lifetime:         cfg.Lifetime,
		Register:         cfg.AnyAccount,
		ExpiredIsInvalid: cfg.ExpiredIsInvalid,
		Seed:             cfg.Seed,
		OnCall:           s.calls.note,
		OnPush:           s.pushed,
	})
	s.populate(cfg)
	server, err := s.wechat.StartHandler(listen, s.handler())
	if err != nil {
		return nil, err
	}
	s.server, s.URL = server, server.URL
	return s, nil
}

// populate adds the accounts and owners, and what goes wrong.
func (s *Sandbox) populate(cfg Config) {
	for _, a := range Accounts() {
		a.AddTo(s.wechat)
	}
	conf := Configuration{HTTP: s.callback}
	for _, o := range s.owners {
		o.AddTo(s.wechat)
		s.wechat.SetCallback(o.ID, conf.Callback(o))
		s.wechat.SetQuirks(o.ID, wechattest.Quirks{Shuffled: cfg.ShuffleEvents})
	}
	// One fault befalls a call, so each must bring the latency along.
	for _, f := range append(cfg.Faults[:len(cfg.Faults):len(cfg.Faults)], wechattest.Fault{}) {
		f.Delay += cfg.Latency
		s.wechat.Inject(f)
	}
}

// Run lets the sandbox answer and push until ctx is done, and then writes what has been called
// and pushed.
func (s *Sandbox) Run(ctx context.Context) error {
	s.push(ctx)
	<-ctx.Done()
	return errors.Join(s.Close(), s.calls.summary())
}

// Close ends a sandbox that is not run.
func (s *Sandbox) Close() error { return s.server.Close() }

// loopback reports whether nobody but this host can reach a listener at addr.
func loopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("address %q: it must be host:port", addr)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback(), nil
}
