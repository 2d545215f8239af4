package clientlib

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const watched = "OK 1\n" + tokenName + " fresh 7200\n"

// watching is a serve that starts a watch, writes each piece after a pause, and closes.
func watching(pause time.Duration, pieces ...string) func(net.Conn) {
	return func(nc net.Conn) {
		r := bufio.NewReader(nc)
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
		_, err := io.WriteString(nc, watched)
		for _, piece := range pieces {
			time.Sleep(pause)
			if err == nil {
				_, err = io.WriteString(nc, piece)
			}
		}
	}
}

func TestWatch(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		c := connect(&fakeDaemon{serve: watching(0,
			"CHANGED "+tokenName+" fresh 7200\nCHANGED "+tokenName,
			" stale 600\n", "CHANGED "+tokenName+" expired -\n")})
		w, err := c.Watch(t.Context(), "official_account/")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if l := w.List(); len(l) != 1 || l[0] != (Listing{Name: tokenName, State: "fresh", TTL: 2 * time.Hour}) {
			t.Errorf("list is %+v", l)
		}
		for _, want := range []Listing{
			{Name: tokenName, State: "fresh", TTL: 2 * time.Hour},
			{Name: tokenName, State: "stale", TTL: 10 * time.Minute},
			{Name: tokenName, State: "expired"},
		} {
			if got, err := w.Next(t.Context()); got != want || err != nil {
				t.Fatalf("%v\n got: %+v\nwant: %+v", err, got, want)
			}
		}
		// The daemon closes. Every Next returns that error, and nothing reconnects.
		for range 2 {
			if _, err := w.Next(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error is %v", err)
			}
		}
		if n := c.idleConns(); n != 0 {
			t.Errorf("the watch left %d connections in the pool", n)
		}
	})
}

// TestNextContinues holds that a Next whose time is up loses nothing: neither the received half of
// a line nor later changes. It does not shorten the time of the next call.
func TestNextContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDaemon{serve: watching(time.Hour, "CHANGED "+tokenName+" fr", "esh 7200\n")}
		c := &Client{DialContext: d.dialPipe, Timeout: time.Second} // does not apply to a watch
		w, err := c.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		for range 2 {
			if _, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error is %v", err)
			}
		}
		if l, err := w.Next(t.Context()); err != nil || l.State != "fresh" {
			t.Errorf("%+v, error is %v", l, err)
		}
		w.Close()
		d.wg.Wait()
	})
}

// TestWatchEnded holds that Next returns the error with which the daemon ends a watch.
func TestWatchEnded(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		c := connect(&fakeDaemon{serve: watching(0, "ERR DENIED - WATCH is not granted to this user\n")})
		w, err := c.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.Next(t.Context()); !errors.Is(err, ErrDenied) {
				t.Errorf("error is %v", err)
			}
		}
	})
}

func TestWatcherCloseWakesNext(t *testing.T) {
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		served := make(chan struct{})
		c := connect(&fakeDaemon{serve: func(nc net.Conn) {
			watching(0)(nc)
			<-served
		}})
		w, err := c.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 2 {
				if _, err := w.Next(t.Context()); !errors.Is(err, ErrClosed) {
					t.Errorf("error is %v", err)
				}
			}
		})
		w.Close()
		wg.Wait()
		close(served)
	})
}

func TestWatchRefused(t *testing.T) {
	for _, tt := range []struct {
		about string
		serve func(net.Conn)
		want  error
	}{
		{"refused", always("ERR DENIED - WATCH is not granted to this user\n"), ErrDenied},
		{"half a list", replies("OK 2\n" + tokenName + " fresh 7200\n"), io.ErrUnexpectedEOF},
		{"not a list", always("OK PONG\n"), ErrMalformed},
		{"an invalid count", always("OK 99999999999\n"), ErrMalformed},
	} {
		transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
			c := connect(&fakeDaemon{serve: tt.serve})
			if w, err := c.Watch(t.Context(), ""); !errors.Is(err, tt.want) || w != nil {
				t.Errorf("%s: error is %v, want %v", tt.about, err, tt.want)
			}
		})
	}
	transports(t, func(t *testing.T, connect func(*fakeDaemon) *Client) {
		c := connect(&fakeDaemon{serve: watching(0, "OK 7200 s3cr3t\n")})
		w, err := c.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_, err = w.Next(t.Context())
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("error is %v", err)
		}
		quietly(t, "s3cr3t", err.Error())
	})
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDaemon{serve: func(nc net.Conn) { time.Sleep(time.Hour) }}
		c := &Client{DialContext: d.dialPipe, Timeout: time.Second}
		if _, err := c.Watch(t.Context(), ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a silent daemon: error is %v", err)
		}
		d.wg.Wait()
	})
}

func TestErrorNamesRequest(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{explain(ctx, 3, tokenName, &Error{Code: ErrNotFound, Message: "no such credential"}), "GET " + tokenName + ": NOT_FOUND: no such credential"},
		{explain(ctx, 1, "", io.EOF), "PING: connection closed by the daemon: unexpected EOF"},
		{explain(ctx, 1, "", syscall.ECONNRESET), "PING: connection reset by peer"},
	} {
		if got := tt.err.Error(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("\n got: %s\nwant: %s", got, tt.want)
		}
	}
}
