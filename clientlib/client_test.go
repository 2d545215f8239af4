package clientlib

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimeIsUp holds that a deadline or a cancellation ends a request at once, and that the late
// reply is not taken for the reply to the next request.
func TestTimeIsUp(t *testing.T) {
	for _, tt := range []struct {
		about   string
		timeout time.Duration // of the client
		limit   func(context.Context) (context.Context, context.CancelFunc)
		after   time.Duration
		want    error
	}{
		{"default", 0, nil, DefaultTimeout, context.DeadlineExceeded},
		{"Timeout", 3 * time.Second, nil, 3 * time.Second, context.DeadlineExceeded},
		{"a deadline before Timeout", time.Hour, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, time.Second, context.DeadlineExceeded},
		{"a deadline after Timeout", time.Second, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Minute)
		}, time.Minute, context.DeadlineExceeded},
		{"cancelled", 0, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			timer := time.AfterFunc(2*time.Second, cancel)
			return ctx, func() { timer.Stop(); cancel() }
		}, 2 * time.Second, context.Canceled},
	} {
		t.Run(tt.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var served atomic.Bool
				d := &fakeDaemon{serve: func(nc net.Conn) {
					if !served.Swap(true) {
						time.Sleep(2 * time.Hour)
					}
					always("OK 7200 tok-01\n")(nc)
				}}
				c := &Client{Timeout: tt.timeout, DialContext: d.dialPipe}
				ctx := t.Context()
				if tt.limit != nil {
					var cancel context.CancelFunc
					ctx, cancel = tt.limit(ctx)
					defer cancel()
				}
				begin := time.Now()
				_, err := c.Get(ctx, tokenName)
				if took := time.Since(begin); !errors.Is(err, tt.want) || took != tt.after {
					t.Errorf("after %v: %v; want %v after %v", took, err, tt.want, tt.after)
				}
				if c.idleConns() != 0 {
					t.Error("a connection with a pending reply is in the pool")
				}
				if _, err := c.Get(t.Context(), tokenName); err != nil {
					t.Error(err)
				}
				if tt.limit != nil {
					<-ctx.Done() // the connection's deadline may have fired before the context's
					if _, err := c.Get(ctx, tokenName); !errors.Is(err, tt.want) {
						t.Errorf("with a done context: error is %v", err)
					}
				}
				if c.idleConns() != 1 {
					t.Error("a request with a done context lost a connection")
				}
				c.Close()
				d.wg.Wait()
			})
		})
	}
}

func TestMalformedReplies(t *testing.T) {
	canary := "s3cr3t"
	for _, reply := range []string{
		"\n", "NO\n", "ok 1 v\n", "OK\n", "OK x " + canary + "\n", "OK 0 " + canary + "\n", "OK 1 a " + canary + "\n",
		"ERR\n", "ERR " + canary + " - x\n", "OK 1 " + canary + "\r\n", "OK 1 \xff" + canary + "\n",
		"OK 1 v\nOK 1 " + canary + "\n",
		"OK 1 " + strings.Repeat(canary, 20000) + "\n",
	} {
		transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
			c := connect(&fakeDaemon{serve: always(reply)})
			got, err := c.Get(t.Context(), tokenName)
			if !errors.Is(err, ErrMalformed) || got != (Credential{}) {
				t.Errorf("%.20q: error is %v, want ErrMalformed", reply, err)
				return
			}
			quietly(t, canary, err.Error())
			if c.idleConns() != 0 {
				t.Errorf("%.20q: the connection is in the pool", reply)
			}
		})
	}
}

// TestUnknownCodes holds that the code of a later version becomes a code that callers know.
func TestUnknownCodes(t *testing.T) {
	for reply, want := range map[string]Error{
		"ERR TOMORROW - a person must act\n": {Code: ErrInternal, RetryAfter: Never, Message: "TOMORROW: a person must act"},
		"ERR TOMORROW 5 not now\n":           {Code: ErrUnavailable, RetryAfter: 5 * time.Second, Message: "TOMORROW: not now"},
		"ERR TOMORROW 0 not now\n":           {Code: ErrUnavailable, RetryAfter: 0, Message: "TOMORROW: not now"},
		"ERR REAUTH - authorize again\n":     {Code: ErrReauth, RetryAfter: Never, Message: "authorize again"},
	} {
		transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
			_, err := connect(&fakeDaemon{serve: always(reply)}).Get(t.Context(), tokenName)
			if got, ok := errors.AsType[*Error](err); !ok || *got != want {
				t.Errorf("%q: got %v, want %v", reply, err, &want)
			}
		})
	}
}

// TestMalformedSubmitReplies holds that malformed replies to EXCHANGE and IMPORT are refused.
func TestMalformedSubmitReplies(t *testing.T) {
	for _, reply := range []string{"OK 1\n", "OK a/b\n", "OK 700 500 0\n", "OK s3cr3t\n"} {
		transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
			c := connect(&fakeDaemon{serve: always(reply)})
			put := c.Put(t.Context(), grantName, "v")
			push := c.Push(t.Context(), platform, callback)
			customer, exchange := c.Exchange(t.Context(), platform, "code")
			page, imported := c.Import(t.Context(), platform, 0)
			if customer != "" || page != (ImportPage{}) {
				t.Errorf("%q: parsed as %q %+v", reply, customer, page)
			}
			for _, err := range []error{put, push, exchange, imported} {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("%q: error is %v, want ErrMalformed", reply, err)
					continue
				}
				quietly(t, "s3cr3t", err.Error())
			}
		})
	}
}

// TestBusyUnasked holds that the reply of a daemon at its connection limit is read, although the
// daemon closes without reading and the request cannot be written.
func TestBusyUnasked(t *testing.T) {
	d := &fakeDaemon{serve: func(nc net.Conn) { _, _ = io.WriteString(nc, "ERR BUSY 1 too many connections\n") }}
	path := d.listen(t)
	c := &Client{DialContext: func(ctx context.Context) (net.Conn, error) {
		nc, err := (&Client{Socket: path}).connect(ctx)
		for ; err == nil && d.conns.Load() == 0; time.Sleep(time.Millisecond) {
		}
		d.wg.Wait() // the daemon has closed
		return nc, err
	}}
	_, err := c.Get(t.Context(), tokenName)
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Code != ErrBusy || refusal.RetryAfter != time.Second {
		t.Errorf("error is %v", err)
	}
	if c.idleConns() != 0 {
		t.Error("a broken connection is in the pool")
	}
}

// TestBadRequestsAreNotSent holds that malformed requests are refused without a connection, with
// the daemon's error, and without showing the field.
func TestBadRequestsAreNotSent(t *testing.T) {
	d := &fakeDaemon{serve: always("OK 7200 tok-01\n")}
	c := &Client{DialContext: d.dialPipe}
	ctx := t.Context()
	const canary = "s3cr3t"
	_, get := c.Get(ctx, canary)
	_, inject := c.Get(ctx, tokenName+"\nREFRESH "+tokenName)
	_, reject := c.Reject(ctx, tokenName, canary+" \n")
	_, swapped := c.Reject(ctx, canary, tokenName)
	put := c.Put(ctx, canary, grantName)
	putLine := c.Put(ctx, grantName, canary+"\nPING")
	_, exchange := c.Exchange(ctx, platform, canary+" "+canary)
	_, exchangeName := c.Exchange(ctx, grantName, canary)
	_, imported := c.Import(ctx, platform, -1)
	hostile := callback
	hostile.Nonce = "1 " + callback.Encrypt + "\nGET " + tokenName
	push := c.Push(ctx, platform, hostile)
	hostile = callback
	hostile.Encrypt = canary + "-"
	pushText := c.Push(ctx, platform, hostile)
	pushNothing := c.Push(ctx, platform, Callback{})
	_, sign := c.Sign(ctx, ticketName, "https://example.com/a b")
	_, list := c.List(ctx, "work/*")
	_, watch := c.Watch(ctx, "work *")
	for _, err := range []error{get, inject, reject, swapped, sign, list, watch,
		put, putLine, exchange, exchangeName, imported, push, pushText, pushNothing} {
		if !errors.Is(err, ErrBadRequest) {
			t.Errorf("error is %v, want BAD_REQUEST", err)
			continue
		}
		quietly(t, canary, err.Error())
	}
	if n := d.conns.Load(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

func TestClose(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		c := connect(&fakeDaemon{serve: always("OK PONG\n")})
		if err := c.Ping(t.Context()); err != nil || c.idleConns() != 1 {
			t.Fatalf("%d idle, error %v", c.idleConns(), err)
		}
		c.Close()
		if c.idleConns() != 0 {
			t.Error("a connection is in the pool")
		}
		if err := c.Ping(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("error is %v", err)
		}
		if _, err := c.Watch(t.Context(), ""); !errors.Is(err, ErrClosed) {
			t.Errorf("error is %v", err)
		}
	})
}

// TestCloseDuringRequest holds that a request in flight completes when the client is closed, and
// that its connection is closed then.
func TestCloseDuringRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDaemon{serve: func(nc net.Conn) {
			time.Sleep(2 * time.Second)
			always("OK PONG\n")(nc)
		}}
		c := &Client{DialContext: d.dialPipe}
		time.AfterFunc(time.Second, func() { c.Close() })
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if c.idleConns() != 0 {
			t.Error("the pool of a closed client has a connection")
			c.dropIdle()
		}
		d.wg.Wait()
	})
}
