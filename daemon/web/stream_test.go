package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// part is a part of a large page.
var part = []byte(strings.Repeat("metrics 1\n", 4<<10))

// streamed returns a page that write writes.
func streamed(write func(ctx context.Context, w io.Writer) error) map[string]Page {
	return testPages(func(ctx context.Context, _ Ask) (View, error) {
		return View{Type: "text/plain; version=0.0.4", Write: func(w io.Writer) error { return write(ctx, w) }}, nil
	})
}

// parts returns a function that writes n parts and then returns err.
func parts(n int, err error) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		for range n {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return err
	}
}

// TestStream checks streamed pages with and without a fault. A fault before the first byte is
// answered 500. After the first byte the body is cut off.
func TestStream(t *testing.T) {
	fault := errors.New("a fault with canary5ecret")
	for _, test := range []struct {
		name   string
		write  func(context.Context, io.Writer) error
		method string
		status int
		parts  int
		cut    bool
	}{
		{"whole", parts(100, nil), "GET", 200, 100, false},
		{"empty", parts(0, nil), "GET", 200, 0, false},
		{"only the header", parts(100, nil), "HEAD", 200, 0, false},
		{"a fault before the first byte", parts(0, fault), "GET", 500, 0, false},
		{"a fault in the middle", parts(10, fault), "GET", 200, 10, true},
		{"a panic before the first byte", func(context.Context, io.Writer) error { panic(fault) }, "GET", 500, 0, false},
		{"a panic in the middle", func(_ context.Context, w io.Writer) error { _, _ = w.Write(part); panic(fault) }, "GET", 200, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, log := newTestServer(t, Config{Pages: streamed(test.write)}, new(fakeInbox))
			r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+serveTCP(t, s)+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status || (err != nil) != test.cut {
				t.Errorf("got %d, then %v", resp.StatusCode, err)
			}
			if got := strings.Count(string(body), string(part)); got != test.parts {
				t.Errorf("got %d parts, want %d", got, test.parts)
			}
			if test.status == 200 && resp.Header.Get("Content-Type") != "text/plain; version=0.0.4" {
				t.Errorf("got type %q", resp.Header.Get("Content-Type"))
			}
			if faulty := test.status == 500 || test.cut; strings.Contains(log.String(), "[ERROR]") != faulty || strings.Contains(string(body), "canary") {
				t.Errorf("answered %.100q, logged %s", body, log)
			}
		})
	}
}

// TestSlowScrapers: clients that do not read are closed at the write timeout and keep their slot no
// longer. A client that disconnects ends its page.
func TestSlowScrapers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2*maxStreams)
		s, _ := newTestServer(t, Config{Pages: streamed(func(ctx context.Context, w io.Writer) error {
			err := parts(1000, nil)(ctx, w)
			ended <- err
			return err
		})}, new(fakeInbox))
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- s.Serve(ctx, hereListener{l}) }()
		ask := func() net.Conn {
			nc := l.dial(t)
			if _, err := io.WriteString(nc, askMetrics); err != nil {
				t.Fatal(err)
			}
			return nc
		}
		for range maxStreams {
			ask() // without reading
		}
		synctest.Wait()
		began := time.Now()
		if status := fetch(t, l); status != http.StatusServiceUnavailable || time.Since(began) > time.Second {
			t.Errorf("got %d after %v with all slots taken, want 503 within a second", status, time.Since(began))
		}
		for range maxStreams {
			if err := <-ended; err == nil {
				t.Error("a page was written without a reader")
			}
		}
		if took := time.Since(began); took > s.cfg.writeTimeout {
			t.Errorf("the last was closed after %v", took)
		}
		if status := fetch(t, l); status != http.StatusOK || <-ended != nil {
			t.Errorf("got %d with all slots free", status)
		}
		nc := ask()
		if _, err := bufio.NewReader(nc).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		_ = nc.Close()
		if err := <-ended; err == nil || time.Since(began) > 0 {
			t.Errorf("the page of a disconnected client ended after %v with %v", time.Since(began), err)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
