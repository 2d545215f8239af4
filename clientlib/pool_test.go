package clientlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tokend/protocol"
)

// TestConcurrentUse holds that many goroutines can use a client at once, with and without the pool.
func TestConcurrentUse(t *testing.T) {
	for _, tt := range []struct {
		about            string
		maxIdle, atMost  int
		moreConnsThanOne bool
	}{
		{"default", 0, DefaultMaxIdleConns, false},
		{"two", 2, 2, false},
		{"a connection for each request", -1, 0, true},
	} {
		t.Run(tt.about, func(t *testing.T) {
			transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
				d := &fakeDaemon{serve: always("OK 7200 tok-01\n")}
				c := connect(d)
				c.MaxIdleConns = tt.maxIdle
				var wg sync.WaitGroup
				const clients, each = 20, 20
				for range clients {
					wg.Go(func() {
						for range each {
							if got, err := c.Get(t.Context(), tokenName); err != nil || string(got.Value) != "tok-01" || got.TTL != 2*time.Hour {
								t.Errorf("got ttl %v, error %v", got.TTL, err)
							}
						}
					})
				}
				wg.Wait()
				if n := c.idleConns(); n > tt.atMost {
					t.Errorf("%d connections in the pool, want at most %d", n, tt.atMost)
				}
				if n := d.conns.Load(); tt.moreConnsThanOne && n != clients*each {
					t.Errorf("%d connections for %d requests", n, clients*each)
				}
			})
		})
	}
}

// TestOwnReplies holds that no request gets the reply to another one, also while some are given up
// and the daemon restarts.
func TestOwnReplies(t *testing.T) {
	s := newTestServer(t)
	name := func(i int) string { return fmt.Sprintf("official_account/wx%d/access_token", i) }
	const clients = 50
	for i := range clients {
		s.Set(name(i), fmt.Sprintf("tok-%d", i), time.Hour)
	}
	c := &Client{Socket: s.Socket}
	defer c.Close()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for round := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				if round%3 == 0 {
					time.AfterFunc(time.Duration(i)*time.Microsecond, cancel)
				}
				got, err := c.Get(ctx, name(i))
				cancel()
				if want := fmt.Sprintf("tok-%d", i); err == nil && string(got.Value) != want {
					t.Errorf("%s: the value of another credential", name(i))
				}
				if i == 0 && round%10 == 0 {
					s.Disconnect()
				}
			}
		})
	}
	wg.Wait()
}

// TestPoolIsBounded holds that concurrent requests leave at most MaxIdleConns connections. When the
// daemon has restarted, the first failed request clears the pool.
func TestPoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDaemon{serve: func(nc net.Conn) {
			time.Sleep(time.Second)
			replies("OK PONG\n")(nc)
		}}
		c := &Client{DialContext: d.dialPipe, MaxIdleConns: 5}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := c.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := c.idleConns(); n != 5 {
			t.Errorf("%d connections in the pool, want 5", n)
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if n, idle := d.conns.Load(), c.idleConns(); n != 21 || idle != 1 {
			t.Errorf("%d connections, %d in the pool; want 21, 1", n, idle)
		}
		c.Close()
		d.wg.Wait()
	})
}

func TestOneConnectionServesManyRequests(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		d := &fakeDaemon{serve: always("ERR NOT_FOUND - no such credential\n")}
		c := connect(d)
		for range 10 { // an error reply is complete: the connection can be reused
			if _, err := c.Get(t.Context(), tokenName); !errors.Is(err, ErrNotFound) {
				t.Fatalf("error is %v", err)
			}
		}
		if n := d.conns.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestDeadPooledConnection holds that a restart of the daemon causes no errors.
func TestDeadPooledConnection(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		d := &fakeDaemon{serve: replies("OK 7200 tok-01\n")} // the daemon then closes
		c := connect(d)
		for range 5 {
			if _, err := c.Get(t.Context(), tokenName); err != nil {
				t.Fatal(err)
			}
		}
		if n := d.conns.Load(); n != 5 {
			t.Errorf("%d connections, want 5", n)
		}
	})
}

// TestClosedNewConnection holds that a request is sent again if its new connection was closed.
func TestClosedNewConnection(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		var restarting atomic.Bool
		restarting.Store(true)
		d := &fakeDaemon{serve: func(nc net.Conn) {
			if !restarting.Swap(false) {
				always("OK 7200 tok-01\n")(nc)
			}
		}}
		c := connect(d)
		if _, err := c.Get(t.Context(), tokenName); err != nil {
			t.Error(err)
		}
		if n := d.conns.Load(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	})
}

// once holds the requests that must not be sent twice.
var once = map[string]func(context.Context, *Client) error{
	"Refresh": func(ctx context.Context, c *Client) error {
		_, err := c.Refresh(ctx, tokenName)
		return err
	},
	"Exchange": func(ctx context.Context, c *Client) error {
		_, err := c.Exchange(ctx, platform, "code@@@01")
		return err
	},
	"Import": func(ctx context.Context, c *Client) error {
		_, err := c.Import(ctx, platform, 0)
		return err
	},
}

// TestPutAndPushAreRepeated holds that PUT and PUSH are sent again if the pooled connection was
// dead.
func TestPutAndPushAreRepeated(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		d := &fakeDaemon{serve: replies("OK\n")} // the daemon then closes
		c := connect(d)
		for range 3 {
			if err := c.Put(t.Context(), grantName, "refresh@@@01"); err != nil {
				t.Fatal(err)
			}
			if err := c.Push(t.Context(), platform, callback); err != nil {
				t.Fatal(err)
			}
		}
		if n := d.conns.Load(); n != 6 {
			t.Errorf("%d connections, want 6", n)
		}
	})
}

// TestSentOnce holds that these requests never use a pooled connection, which may be dead.
func TestSentOnce(t *testing.T) {
	for about, ask := range once {
		t.Run(about, func(t *testing.T) { sentOnce(t, ask) })
	}
}

func sentOnce(t *testing.T, ask func(context.Context, *Client) error) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		var mu sync.Mutex
		requests := 0
		d := &fakeDaemon{serve: func(nc net.Conn) { // reads a request and closes
			if _, err := nc.Read(make([]byte, 512)); err == nil {
				mu.Lock()
				requests++
				mu.Unlock()
			}
		}}
		c := connect(d)
		if err := ask(t.Context(), c); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error is %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if requests != 1 {
			t.Errorf("%d requests, want 1", requests)
		}
	})
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		d := &fakeDaemon{serve: replies("ERR BUSY 1 not now\n")}
		c := connect(d)
		if _, err := c.Get(t.Context(), tokenName); !errors.Is(err, ErrBusy) || c.idleConns() != 1 {
			t.Fatal(err)
		}
		if err := ask(t.Context(), c); !errors.Is(err, ErrBusy) {
			t.Error(err) // would use the dead connection
		}
	})
}

// TestNotRepeated holds that nothing is sent a third time, or again after part of a reply.
func TestNotRepeated(t *testing.T) {
	const half = "OK 2\n" + tokenName + " fresh 7200\n"
	for _, tt := range []struct {
		about   string
		replies []string // of the first connection; later ones close at once
		pooled  bool     // PING is sent first
		conns   int64
		want    error // nil means any
	}{
		{"two closed new connections", nil, false, 2, nil},
		{"half a line", []string{"OK 72"}, false, 1, io.ErrUnexpectedEOF},
		{"half a line on a pooled connection", []string{"OK PONG\n", "OK 72"}, true, 1, io.ErrUnexpectedEOF},
		{"half a list on a pooled connection", []string{"OK PONG\n", half}, true, 1, io.ErrUnexpectedEOF},
		{"another protocol on a pooled connection", []string{"OK PONG\n", "HTTP/1.1 200 OK\r\n"}, true, 1, ErrMalformed},
		{"a dead connection, then a closed new one", []string{"OK PONG\n"}, true, 2, nil},
	} {
		t.Run(tt.about, func(t *testing.T) {
			transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
				var first atomic.Bool
				first.Store(true)
				d := &fakeDaemon{serve: func(nc net.Conn) {
					if first.Swap(false) {
						replies(tt.replies...)(nc)
					}
				}}
				c := connect(d)
				if tt.pooled {
					if err := c.Ping(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				list, err := c.List(t.Context(), "")
				if err == nil || list != nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("%v, error is %v, want %v", list, err, tt.want)
				}
				if n := d.conns.Load(); n != tt.conns {
					t.Errorf("%d connections, want %d", n, tt.conns)
				}
				if n := c.idleConns(); n != 0 {
					t.Errorf("%d connections in the pool", n)
				}
			})
		})
	}
}

func TestRules(t *testing.T) {
	refusal := func(code protocol.Code) error { return &Error{Code: code} }
	for _, tt := range []struct {
		about                 string
		err                   error
		begun                 bool
		resumable, repeatable bool
	}{
		{"a reply", nil, true, true, false},
		{"a refusal", refusal(ErrNotFound), true, true, false},
		{"an unknown code", refusal("TOMORROW"), true, true, false},
		{"the daemon stops", refusal(ErrShutdown), true, false, false},
		{"closed", io.EOF, false, false, true},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, false, false, true},
		{"broken pipe", &net.OpError{Op: "write", Err: syscall.EPIPE}, false, false, true},
		{"closed in the middle", io.EOF, true, false, false},
		{"nonsense", ErrMalformed, true, false, false},
		{"an empty line", ErrMalformed, false, false, false},
		{"time is up", os.ErrDeadlineExceeded, false, false, false},
		{"given up", context.Canceled, false, false, false},
	} {
		if got := resumable(tt.err); got != tt.resumable {
			t.Errorf("%s: resumable is %v", tt.about, got)
		}
		if got := repeatable(tt.err, tt.begun); got != tt.repeatable {
			t.Errorf("%s: repeatable is %v", tt.about, got)
		}
	}
	for _, v := range protocol.Verbs() {
		once := v == protocol.VerbRefresh || v == protocol.VerbExchange || v == protocol.VerbImport || v == protocol.VerbWatch
		if pooled(v) == once {
			t.Errorf("%s: pooled is %v", v, !once)
		}
	}
}
