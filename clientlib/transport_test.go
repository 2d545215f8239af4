package clientlib

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/clientlib/clientlibtest"
	"tokend/protocol"
)

// business is an API of WeChat: it refuses one value in one parameter, and repeats other requests.
type business struct {
	*httptest.Server
	refuse  func(query string) string // the response, or "" to accept
	mu      sync.Mutex
	queries []string
	bodies  []string
}

func newBusiness(t *testing.T, refuse func(query string) string) *business {
	t.Helper()
	b := &business{refuse: refuse}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the test compares it
		b.mu.Lock()
		b.queries = append(b.queries, r.URL.RawQuery)
		b.bodies = append(b.bodies, string(body))
		b.mu.Unlock()
		if text := b.refuse(r.URL.RawQuery); text != "" {
			w.(http.Flusher).Flush() // no Content-Length
			_, _ = io.WriteString(w, text)
			return
		}
		fmt.Fprintf(w, `{"errcode":0,"length":%d}`, len(body))
	}))
	t.Cleanup(b.Close)
	return b
}

const refusal = `{"errcode":40001,"errmsg":"invalid credential"}`

// refusing refuses tok-01.
func refusing(query string) string {
	if strings.Contains(query, "token=tok-01") {
		return refusal
	}
	return ""
}

// handOut returns Tokens that have handed out tok-01, and a client with their transport.
func handOut(t *testing.T, s *clientlibtest.Server) (*Tokens, *http.Client) {
	t.Helper()
	tokens := &Tokens{Client: &Client{Socket: s.Socket}}
	base := &http.Transport{}
	t.Cleanup(func() { base.CloseIdleConnections(); tokens.Client.Close() })
	if got, err := tokens.Source(tokenName).GetAccessToken(); got != "tok-01" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	return tokens, &http.Client{Transport: tokens.Transport(base)}
}

func bodyOf(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestTransportRepeats holds that a request with a refused token is repeated whole, and changed
// only in the token.
func TestTransportRepeats(t *testing.T) {
	for _, tt := range []struct {
		about string
		body  io.Reader
	}{
		{"no body", nil},
		{"no content", http.NoBody},
		{"a body", strings.NewReader(`{"button":[]}`)},
		{"a file", bytes.NewReader(bytes.Repeat([]byte("a file\x00"), 100000))},
	} {
		t.Run(tt.about, func(t *testing.T) {
			s := newTestServer(t)
			_, client := handOut(t, s)
			b := newBusiness(t, refusing)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+"/api?b=%20x&access_token=tok-01&a=1&tok-01", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if got := bodyOf(t, resp, err); !strings.HasPrefix(got, `{"errcode":0`) {
				t.Errorf("the caller sees %s", got)
			}
			if len(b.queries) != 2 || b.queries[1] != "b=%20x&access_token=tok-02&a=1&tok-01" || b.bodies[0] != b.bodies[1] {
				t.Errorf("the requests were %q with bodies of %d bytes", b.queries, len(b.bodies[0]))
			}
			if req.URL.Query().Get("access_token") != "tok-01" {
				t.Error("the caller's request was changed")
			}
			if n := s.Count(protocol.VerbReject, tokenName); n != 1 {
				t.Errorf("%d rejections, want 1", n)
			}
		})
	}
}

// TestTransportPassesOn holds that the caller gets WeChat's response as it is in all other cases.
func TestTransportPassesOn(t *testing.T) {
	always := func(text string) func(string) string { return func(string) string { return text } }
	long := `{"errcode":40001,"errmsg":"` + strings.Repeat("x", maxExamined) + `"}`
	for _, tt := range []struct {
		about    string
		query    string
		body     io.Reader // a strings.Reader can be repeated
		setUp    func(s *clientlibtest.Server)
		refuse   func(query string) string
		requests int
		rejects  int
		want     string
	}{
		{"success", "access_token=tok-01", nil, nil, always(""), 1, 0, `{"errcode":0,"length":0}`},
		{"another error", "access_token=tok-01", nil, nil, always(`{"errcode":45009}`), 1, 0, `{"errcode":45009}`},
		{"a code of suites", "access_token=tok-01", nil, nil, always(`{"errcode":40082}`), 1, 0, `{"errcode":40082}`},
		{"a code of other tokens", "suite_access_token=tok-01", nil, nil, always(refusal), 1, 0, refusal},
		{"another token", "access_token=tok-00", nil, nil, always(refusal), 1, 0, refusal},
		{"another parameter", "token=tok-01", nil, nil, always(refusal), 1, 0, refusal},
		{"no query", "", nil, nil, always(refusal), 1, 0, refusal},
		{"an invalid query", "%zz&access_token=%zz", nil, nil, always(refusal), 1, 0, refusal},
		{"HTML", "access_token=tok-01", nil, nil, always("<html>"), 1, 0, "<html>"},
		{"over the limit", "access_token=tok-01", nil, nil, always(long), 1, 0, long},
		{"refused twice", "access_token=tok-01", nil, nil, always(refusal), 2, 1, refusal},
		{"a body that cannot be repeated", "access_token=tok-01", io.MultiReader(strings.NewReader("x")), nil, refusing, 1, 1, refusal},
		{"the same value", "access_token=tok-01", nil, func(s *clientlibtest.Server) { s.Set(tokenName, "tok-01", time.Hour) }, refusing, 1, 1, refusal},
		{"a failed rejection", "access_token=tok-01", nil, func(s *clientlibtest.Server) {
			s.Fail(tokenName, &Error{Code: ErrLimited, RetryAfter: time.Second, Message: "not now"})
		}, refusing, 1, 1, refusal},
		{"no daemon", "access_token=tok-01", nil, (*clientlibtest.Server).Close, refusing, 1, 0, refusal},
	} {
		t.Run(tt.about, func(t *testing.T) {
			s := newTestServer(t)
			_, client := handOut(t, s)
			if tt.setUp != nil {
				tt.setUp(s)
			}
			b := newBusiness(t, tt.refuse)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+"/?"+tt.query, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if got := bodyOf(t, resp, err); got != tt.want {
				t.Errorf("the caller sees %.100s", got)
			}
			if n := s.Count(protocol.VerbReject, ""); len(b.queries) != tt.requests || n != tt.rejects {
				t.Errorf("%d requests, %d rejections; want %d, %d", len(b.queries), n, tt.requests, tt.rejects)
			}
		})
	}
}

// TestTransportParameters holds that each parameter has its own errcodes.
func TestTransportParameters(t *testing.T) {
	for parameter, codes := range stale {
		for _, code := range []int{40001, 40014, 40082, 42001, 42009} {
			s := newTestServer(t)
			_, client := handOut(t, s)
			b := newBusiness(t, func(query string) string {
				if strings.Contains(query, "tok-01") {
					return fmt.Sprintf(`{"errcode":%d}`, code)
				}
				return ""
			})
			resp, err := client.Get(b.URL + "/?" + parameter + "=tok-01")
			bodyOf(t, resp, err)
			want := 1
			for _, c := range codes {
				if c == code {
					want = 2
				}
			}
			if len(b.queries) != want {
				t.Errorf("%s, errcode %d: %d requests, want %d", parameter, code, len(b.queries), want)
			}
		}
	}
}

func TestTransportNilBase(t *testing.T) {
	s := newTestServer(t)
	tokens, _ := handOut(t, s)
	b := newBusiness(t, refusing)
	client := &http.Client{Transport: tokens.Transport(nil)}
	defer client.CloseIdleConnections()
	resp, err := client.Get(b.URL + "/?access_token=tok-01")
	if got := bodyOf(t, resp, err); !strings.HasPrefix(got, `{"errcode":0`) {
		t.Errorf("the caller sees %s", got)
	}
}

// TestTransportCancelled holds that a context that ends during the rejection ends the wait, and
// that the caller then gets WeChat's response.
func TestTransportCancelled(t *testing.T) {
	s := newTestServer(t)
	tokens, _ := handOut(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	silent := &fakeDaemon{serve: func(nc net.Conn) {
		_, _ = nc.Read(make([]byte, 512)) // the request
		cancel()
		_, _ = nc.Read(make([]byte, 512)) // ends when the client closes
	}}
	tokens.Client = &Client{DialContext: silent.dialPipe}
	response := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(refusal)), ContentLength: -1}
	transport := tokens.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) { return response, nil }))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.weixin.qq.com/?access_token=tok-01", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if got := bodyOf(t, resp, err); got != refusal {
		t.Errorf("the caller sees %s", got)
	}
	tokens.Client.Close()
	silent.wg.Wait()
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestTransportFails holds that the base's error, and the error of a body that cannot be opened
// again, do no harm.
func TestTransportFails(t *testing.T) {
	broken := errors.New("broken")
	s := newTestServer(t)
	tokens, _ := handOut(t, s)
	req, err := http.NewRequest(http.MethodPost, "https://api.weixin.qq.com/?access_token=tok-01", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	transport := tokens.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, broken }))
	if resp, err := transport.RoundTrip(req); resp != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", resp, err)
	}
	req.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	transport = tokens.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(refusal))}, nil
	}))
	resp, err := transport.RoundTrip(req)
	if got := bodyOf(t, resp, err); got != refusal {
		t.Errorf("the caller sees %s", got)
	}
}

// TestTransportStreams holds that the caller gets the beginning of a download before its end.
func TestTransportStreams(t *testing.T) {
	s := newTestServer(t)
	_, client := handOut(t, s)
	proceed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-proceed
		_, _ = io.WriteString(w, "end")
	}))
	defer server.Close()
	resp, err := client.Get(server.URL + "/?access_token=tok-01")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	begin := make([]byte, len("begin"))
	if _, err := io.ReadFull(resp.Body, begin); err != nil || string(begin) != "begin" {
		t.Errorf("got %q, %v", begin, err)
	}
	close(proceed)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "end" {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestTransportCompressed holds that the compression of package http is no obstacle.
func TestTransportCompressed(t *testing.T) {
	s := newTestServer(t)
	_, client := handOut(t, s)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		if refusing(r.URL.RawQuery) != "" {
			_, _ = io.WriteString(z, refusal)
			return
		}
		_, _ = io.WriteString(z, "accepted")
	}))
	defer server.Close()
	resp, err := client.Get(server.URL + "/?access_token=tok-01")
	if got := bodyOf(t, resp, err); got != "accepted" {
		t.Errorf("the caller sees %s", got)
	}
}

// TestTransportLeaks holds that concurrent requests with a refused token all succeed, and leave no
// goroutine and no connection.
func TestTransportLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("requests", func(t *testing.T) {
		s := newTestServer(t)
		_, client := handOut(t, s)
		b := newBusiness(t, refusing)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				resp, err := client.Post(b.URL+"/?access_token=tok-01", "text/plain", strings.NewReader("body"))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), `{"errcode":0`) {
					t.Errorf("the caller sees %s, %v", body, err)
				}
			})
		}
		wg.Wait()
		if s.Value(tokenName) != "tok-02" {
			t.Errorf("the token is %s", s.Value(tokenName))
		}
	})
	for began := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
