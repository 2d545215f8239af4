package fetchers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const goodAnswer = `{"access_token":"tok-01","expires_in":7200}`

// serve starts an HTTP server with h on loopback and returns a client for it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := &Client{URL: s.URL}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func token(c *Client) AccessToken { return AccessToken{Client: c, AppID: "wx01", Secret: canarySecret} }

func TestOverLoopback(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || len(r.TransferEncoding) != 0 {
			t.Errorf("a GET with a body: length %d, %v", r.ContentLength, r.TransferEncoding)
		}
		_, _ = io.WriteString(w, goodAnswer)
	})
	for range 3 {
		got, err := token(c).Fetch(t.Context(), Ask{})
		if err != nil || got.Value != "tok-01" {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
}

// TestConnectionsReused: concurrent calls reuse the connections of previous ones. For WeChat, a
// new connection needs a TLS handshake, which costs more than the rest of a call.
func TestConnectionsReused(t *testing.T) {
	var made, come atomic.Int32
	all := make(chan struct{}) // closed when all concurrent calls have arrived
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if come.Add(1) == defaultCalls {
			close(all)
		}
		<-all
		_, _ = io.WriteString(w, goodAnswer)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := &Client{URL: s.URL}
	defer c.CloseIdleConnections()
	for range 3 {
		var calls sync.WaitGroup
		for range defaultCalls {
			calls.Go(func() {
				if _, err := token(c).Fetch(t.Context(), Ask{}); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		come.Store(0)
		all = make(chan struct{})
	}
	if n := made.Load(); n != defaultCalls {
		t.Errorf("%d connections for %d calls at once, three times over", n, defaultCalls)
	}
}

// A server reads a request on a reused connection and closes it without an answer. net/http would
// repeat a GET, and WeChat would issue two tokens.
func TestOneFetchIsOneRequest(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			for answer := true; ; answer = false {
				req, err := http.ReadRequest(r)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, req.Body)
				requests.Add(1)
				if !answer {
					break
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n"+goodAnswer)
			}
			_ = conn.Close()
		}
	}()
	defer func() { _ = ln.Close(); <-done }()

	c := &Client{URL: "http://" + ln.Addr().String()}
	defer c.CloseIdleConnections()
	if _, err := token(c).Fetch(t.Context(), Ask{}); err != nil {
		t.Fatal(err)
	}
	_, err = token(c).Fetch(t.Context(), Ask{})
	if te := mustTransportError(t, err); !te.Sent {
		t.Error("the request was written, and Sent is false")
	}
	if got := requests.Load(); got != 2 {
		t.Errorf("two fetches made %d requests", got)
	}
}

func TestRedirectNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
		}
		http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
	})
	_, err := token(c).Fetch(t.Context(), Ask{})
	if got := mustTransportError(t, err).Err.Error(); got != "HTTP 302" {
		t.Errorf("got %s", got)
	}
	if elsewhere.Load() != 0 {
		t.Error("followed")
	}
}

func TestHugeAnswerOverLoopback(t *testing.T) {
	wrote := make(chan int64, 1)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n, _ := io.Copy(w, io.LimitReader(new(endless), 100<<20))
		wrote <- n
	})
	_, err := token(c).Fetch(t.Context(), Ask{})
	if te := mustTransportError(t, err); te.Err != errTooLarge {
		t.Errorf("got %v", err)
	}
	if n := <-wrote; n >= 100<<20 {
		t.Errorf("read all %d bytes", n)
	}
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		drips := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return answering(200, dripping{r.Context()})(r)
		})
		short, cancelShort := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancelShort()
		gone, cancelGone := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancelGone)

		tests := []struct {
			name   string
			client *Client
			ctx    context.Context
			want   time.Duration
			is     error
			text   string
		}{
			{"caller leaves", &Client{Transport: waits}, gone, time.Second, context.Canceled, "context canceled"},
			{"caller's deadline", &Client{Transport: waits}, short, time.Second, context.DeadlineExceeded, "context deadline exceeded"},
			{"default timeout", &Client{Transport: waits}, t.Context(), 5 * time.Second, context.DeadlineExceeded, "no answer within 5s"},
			{"own timeout", &Client{Transport: waits, Timeout: 300 * time.Millisecond}, t.Context(), 300 * time.Millisecond, context.DeadlineExceeded, "no answer within 300ms"},
			{"an endless body", &Client{Transport: drips}, t.Context(), 5 * time.Second, context.DeadlineExceeded, "no answer within 5s"},
		}
		for _, tt := range tests {
			start := time.Now()
			_, err := token(tt.client).Fetch(tt.ctx, Ask{})
			te := mustTransportError(t, err)
			if !te.Sent || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: got %v, sent %v", tt.name, err, te.Sent)
			}
			if took := time.Since(start); took != tt.want {
				t.Errorf("%s: took %v, want %v", tt.name, took, tt.want)
			}
			checkQuiet(t, err)
		}
	})
}

// dripping returns a byte a second as long as the request lives.
type dripping struct{ ctx context.Context }

func (d dripping) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func TestSent(t *testing.T) {
	refused := closedPort(t)
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake fails on purpose
	tlsServer.StartTLS()
	defer tlsServer.Close()
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	hangs.Timeout = 500 * time.Millisecond
	cut := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()

	tests := []struct {
		name   string
		client *Client
		ctx    context.Context
		want   bool
	}{
		{"nothing listens", &Client{URL: "http://" + refused}, t.Context(), false},
		{"no such host", &Client{URL: "http://host.invalid"}, t.Context(), false},
		{"untrusted certificate", &Client{URL: tlsServer.URL}, t.Context(), false},
		{"canceled before the call", hangs, cancelled, false},
		{"no answer in time", hangs, t.Context(), true},
		{"connection cut", cut, t.Context(), true},
		{"a transport without trace", &Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
			return nil, io.EOF
		})}, t.Context(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.client.CloseIdleConnections()
			_, err := token(tt.client).Fetch(tt.ctx, Ask{})
			if te := mustTransportError(t, err); te.Sent != tt.want {
				t.Errorf("%v: got sent %v, want %v", err, te.Sent, tt.want)
			}
			checkQuiet(t, err)
		})
	}
}

// closedPort returns a loopback address without a listener.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestObserve(t *testing.T) {
	var paths []string
	var errs []error
	answer := goodAnswer
	c := &Client{
		Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return answering(200, strings.NewReader(answer))(r)
		}),
		Observe: func(endpoint string, _ time.Duration, err error) {
			paths, errs = append(paths, endpoint), append(errs, err)
		},
	}
	_, _ = token(c).Fetch(t.Context(), Ask{})
	answer = `{"errcode":40013,"errmsg":"invalid appid"}`
	_, _ = token(c).Fetch(t.Context(), Ask{})
	_, _ = Ticket{Client: c}.Fetch(t.Context(), Ask{}) // no parent, so no call
	if len(paths) != 2 || paths[0] != "/cgi-bin/token" || errs[0] != nil {
		t.Fatalf("got %q, %v", paths, errs)
	}
	if e, ok := errors.AsType[*APIError](errs[1]); !ok || e.Code != 40013 {
		t.Errorf("got %v", errs[1])
	}
}
