package clientlib

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeDaemon serves each connection in its own goroutine and counts connections.
type fakeDaemon struct {
	serve func(nc net.Conn)
	conns atomic.Int64
	wg    sync.WaitGroup
}

// start serves nc until serve returns, and closes it.
func (d *fakeDaemon) start(nc net.Conn) {
	d.conns.Add(1)
	d.wg.Go(func() {
		defer nc.Close()
		d.serve(nc)
	})
}

// dialPipe connects to d without a socket, for virtual time.
func (d *fakeDaemon) dialPipe(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	d.start(server)
	return client, nil
}

// listen serves d at a real socket until the test ends, and returns the path.
func (d *fakeDaemon) listen(t testing.TB) string {
	t.Helper()
	path := testSocket(t)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			d.start(nc)
		}
	})
	t.Cleanup(func() {
		ln.Close()
		accepting.Wait()
		d.wg.Wait()
	})
	return path
}

// testSocket returns a short socket path: t.TempDir may exceed the limit of 107 bytes.
func testSocket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// replies is a serve that answers the requests of a connection with lines in order and then closes
// the connection.
func replies(lines ...string) func(net.Conn) {
	return func(nc net.Conn) {
		r := bufio.NewReader(nc)
		for _, line := range lines {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			if _, err := io.WriteString(nc, line); err != nil {
				return
			}
		}
	}
}

// always is a serve that answers every request with line.
func always(line string) func(net.Conn) {
	return func(nc net.Conn) {
		r := bufio.NewReader(nc)
		for {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			if _, err := io.WriteString(nc, line); err != nil {
				return
			}
		}
	}
}

// transports runs a test over a pipe and over a real socket.
func transports(t *testing.T, test func(t *testing.T, connect func(*fakeDaemon) *Client)) {
	t.Run("pipe", func(t *testing.T) {
		test(t, func(d *fakeDaemon) *Client {
			c := &Client{DialContext: d.dialPipe}
			t.Cleanup(func() { c.Close(); d.wg.Wait() })
			return c
		})
	})
	t.Run("socket", func(t *testing.T) {
		test(t, func(d *fakeDaemon) *Client {
			c := &Client{Socket: d.listen(t)}
			t.Cleanup(func() { c.Close() })
			return c
		})
	})
}

// slowly writes one byte at a time.
type slowly struct{ io.Writer }

func (w slowly) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := w.Writer.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// idleConns returns the number of connections in the pool.
func (c *Client) idleConns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

const (
	tokenName  = "official_account/wx0123/access_token"
	ticketName = "official_account/wx0123/jsapi_ticket"
	grantName  = "open_platform/wxcomponent/wxauthorizer/refresh_token"
	platform   = "open_platform/wxcomponent"
)

var callback = Callback{
	MsgSignature: "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
	Timestamp:    "946684800",
	Nonce:        "1320562132",
	Encrypt:      "dGlja2V0IDAx",
}

// quietly fails the test if a text contains canary.
func quietly(t *testing.T, canary string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, canary) {
			t.Error("a text shows a secret")
		}
	}
}
