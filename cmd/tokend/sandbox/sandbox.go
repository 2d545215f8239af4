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

// The default addresses.
const (
	DefaultListen   = "127.0.0.1:8712" // of the sandbox
	DefaultCallback = "127.0.0.1:8711" // of tokend's [http]
)

// Config configures a sandbox.
type Config struct {
	// Listen is host:port. If empty, it is DefaultListen.
	Listen string

	// Callback is the host:port at which tokend receives pushes to the platform and the suites. If
	// empty, it is DefaultCallback.
	Callback string

	// Remote allows an address that other hosts can reach.
	Remote bool

	// Lifetime is the lifetime of tokens and tickets. Zero means two hours.
	Lifetime time.Duration

	// Latency is the delay of each answer.
	Latency time.Duration

	// Faults are the injected faults. The first that matches a call applies.
	Faults []wechattest.Fault

	// AnyAccount also accepts unknown accounts, with the secret of their first call.
	AnyAccount bool

	// ExpiredIsInvalid makes WeCom answer 40014, not 42001, for an expired token.
	ExpiredIsInvalid bool

	// ShuffleEvents pushes the elements of messages in random order.
	ShuffleEvents bool

	// Seed makes values and orders the same in each run. Zero makes them random.
	Seed uint64

	// Out receives a line for each call.
	Out io.Writer
}

// ErrNotLoopback reports that other hosts could reach the sandbox.
var ErrNotLoopback = errors.New("the address can be reached from other hosts, and a sandbox has no access control")

// Sandbox is a running sandbox; see [Start].
type Sandbox struct {
	// URL is its address, for [upstream].
	URL string

	callback string
	owners   []Owner
	wechat   *wechattest.WeChat
	server   *wechattest.Server
	calls    *calls
	any      bool // accepts unknown accounts

	welcomed sync.Map // ids of owners whose customer has authorized
}

// Start starts a sandbox. Run or Close ends it.
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
	s := &Sandbox{callback: cmp.Or(cfg.Callback, DefaultCallback), owners: Owners(), calls: newCalls(cfg.Out), any: cfg.AnyAccount}
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

// populate adds the accounts, owners and faults.
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
	// Only one fault applies to a call, so each includes the latency.
	for _, f := range append(cfg.Faults[:len(cfg.Faults):len(cfg.Faults)], wechattest.Fault{}) {
		f.Delay += cfg.Latency
		s.wechat.Inject(f)
	}
}

// Run serves calls and pushes until ctx is done, then prints the summary.
func (s *Sandbox) Run(ctx context.Context) error {
	s.push(ctx)
	<-ctx.Done()
	return errors.Join(s.Close(), s.calls.summary())
}

// Close ends a sandbox without Run.
func (s *Sandbox) Close() error { return s.server.Close() }

// loopback reports whether only this host can reach a listener at addr.
func loopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("address %q: it must be host:port", addr)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback(), nil
}
