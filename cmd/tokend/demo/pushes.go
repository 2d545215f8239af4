package demo

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// soon is the limit for what the daemon does by itself after a push. It takes milliseconds.
const soon = 20 * time.Second

// newPlatform returns an instance with a platform and suites, to which WeChat pushes.
func newPlatform(program, dir string) (*instance, error) {
	http, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s, err := newInstanceOf(program, dir, wechattest.Settings{}, sandbox.Configuration{Owners: sandbox.Owners(), HTTP: http})
	if err != nil {
		return nil, err
	}
	for _, o := range s.conf.Owners {
		s.wechat.SetCallback(o.ID, s.conf.Callback(o))
	}
	return s, nil
}

// freeAddress returns a loopback address that was free just now.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// deliver pushes the pending events. It reports whether each was answered correctly, and how long
// the slowest took.
func (s *instance) deliver(ctx context.Context) (slowest time.Duration, ok bool) {
	before := len(s.wechat.Deliveries())
	s.wechat.Flush(ctx)
	sent := s.wechat.Deliveries()[before:]
	ok = len(sent) > 0
	for _, d := range sent {
		ok = ok && d.Err == nil
		slowest = max(slowest, d.Took)
	}
	return slowest, ok
}

// arrives waits until the daemon has a credential that it gets without a request: the first token
// of a platform's customer comes with the grant.
func (s *instance) arrives(ctx context.Context, c *clientlib.Client, name string) error {
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(time.Millisecond) {
		found, err := c.List(ctx, name)
		if err != nil {
			return err
		}
		if len(found) == 1 && found[0].State == "fresh" {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", name, errTooLong)
}

// grants waits until w has reported n grants.
func grants(ctx context.Context, w *clientlib.Watcher, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, soon, errTooLong)
	defer cancel()
	for n > 0 {
		l, err := w.Next(ctx)
		if err != nil {
			return fmt.Errorf("%d grants are missing: %w", n, err)
		}
		if strings.HasSuffix(l.Name, "/permanent_code") && l.State == "fresh" {
			n--
		}
	}
	return nil
}
