package web

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// testPages returns one page that contains the requested language, and p.
func testPages(p Page) map[string]Page {
	return map[string]Page{
		"/": func(_ context.Context, ask Ask) (View, error) {
			return View{Type: "text/html; charset=utf-8", Language: "en", Policy: "default-src 'self'", Body: []byte("lang=" + ask.Values.Get("lang") + " accept=" + ask.Accept)}, nil
		},
		"/metrics": p,
	}
}

func plainPage(context.Context, Ask) (View, error) {
	return View{Type: "text/plain; version=0.0.4", Body: []byte("metrics 1\n")}, nil
}

// from returns r as it would arrive over TCP from remote.
func from(remote string, r *http.Request) *http.Request {
	r.RemoteAddr = remote
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:8711"))
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
}

// TestPageAccess: pages are shown to this host and to monitors, unless the request shows a sign
// of forwarding.
func TestPageAccess(t *testing.T) {
	const here, monitor, there = "127.0.0.1:40000", "192.0.2.7:40000", "198.51.100.1:40000"
	const monitorHere = "127.0.0.9:40000"
	header := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for _, test := range []struct {
		name   string
		remote string
		change func(*http.Request)
		want   int
	}{
		{"this host", here, nil, 200},
		{"this host by IPv6", "[::1]:40000", host("[::1]:8711"), 200},
		{"this host by an IPv4 address in IPv6", "[::ffff:127.0.0.1]:40000", nil, 200},
		{"this host by name", here, host("LocalHost:8711"), 200},
		{"this host by an address without a port", here, host("127.0.0.1"), 200},
		{"a monitor", monitor, host("203.0.113.5:8711"), 200},
		{"another of the monitors' network", "[2001:db8:1::7]:40000", host("[2001:db8::1]:8711"), 200},
		{"a monitor of this host, whatever its user", monitorHere, nil, 200},
		{"a stranger", there, nil, 403},
		{"a neighbour of the monitor", "192.0.2.8:40000", nil, 403},
		{"a stranger with a forged header", there, header("X-Forwarded-For", "127.0.0.1"), 403},
		{"forwarded", here, header("X-Forwarded-For", "198.51.100.1"), 403},
		{"forwarded for loopback", here, header("X-Forwarded-For", "127.0.0.1"), 403},
		{"forwarded, empty header", here, header("X-Forwarded-For", ""), 403},
		{"forwarded, standard header", here, header("Forwarded", "for=198.51.100.1"), 403},
		{"forwarded by nginx, usual configuration", here, header("X-Real-IP", "198.51.100.1"), 403},
		{"forwarded by a cache", here, header("Via", "1.1 varnish"), 403},
		{"forwarded by nginx, default configuration", here, func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, 403},
		{"forwarded for a monitor", monitor, header("X-Forwarded-For", "192.0.2.7"), 403},
		{"a name that resolves to this host", here, host("rebound.example:8711"), 403},
		{"a name that starts like an address", here, host("127.0.0.1.rebound.example"), 403},
		{"no host", here, host(""), 403},
		{"a malformed host", here, host("[::1"), 200}, // still an address
		{"a monitor by a name", monitor, host("web1.example:8711"), 403},
		{"an invalid address", "@", nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := Config{Pages: testPages(plainPage), Unseen: testUnseen}
			if test.remote == monitorHere {
				cfg.Sees = func(uint32) bool { return false }
			}
			s, log := newTestServer(t, cfg, new(fakeInbox))
			s.SetMonitors(Monitors{netip.MustParsePrefix("127.0.0.9/32"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/64")})
			for path := range s.cfg.Pages {
				r := from(test.remote, httptest.NewRequest("GET", "http://127.0.0.1:8711"+path, nil))
				r.Header.Set("Accept-Language", "fr")
				if test.change != nil {
					test.change(r)
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != test.want {
					t.Errorf("%s: got %d, want %d", path, w.Code, test.want)
				}
				if refused := "Forbidden\nlook elsewhere, fr\n"; test.want == 403 && (w.Body.String() != refused || w.Header().Get("Content-Language") != "fr") {
					t.Errorf("%s: answered %q, want %q, in French", path, w.Body, refused)
				}
				if test.want == 403 && (strings.Contains(w.Body.String(), "metrics") || !strings.Contains(log.String(), "status=403 reason=")) {
					t.Errorf("%s: answered %q, logged %q", path, w.Body, log)
				}
			}
		})
	}
}

// testUnseen is the text for clients that may not see a page.
func testUnseen(ask Ask) (language, text string) {
	return ask.Accept, "look elsewhere, " + ask.Accept
}

// TestMonitorsChange: SetMonitors takes effect on open connections too.
func TestMonitorsChange(t *testing.T) {
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage)}, new(fakeInbox))
	status := func() int {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, from("192.0.2.7:40000", httptest.NewRequest("GET", "http://127.0.0.1:8711/metrics", nil)))
		return w.Code
	}
	for i, m := range []Monitors{nil, {netip.MustParsePrefix("192.0.2.0/24")}, {}} {
		s.SetMonitors(m)
		if got, want := status(), []int{403, 200, 403}[i]; got != want {
			t.Errorf("with %v: got %d, want %d", m, got, want)
		}
	}
}

// TestPageAnswers checks methods, header fields and bodies of pages.
func TestPageAnswers(t *testing.T) {
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage)}, new(fakeInbox))
	addr := serveTCP(t, s)
	get := func(method, target string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	resp, body := get("GET", "/metrics")
	if resp.StatusCode != 200 || body != "metrics 1\n" || resp.Header.Get("Content-Type") != "text/plain; version=0.0.4" {
		t.Errorf("metrics: got %d %q %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body = get("HEAD", "/metrics"); resp.StatusCode != 200 || body != "" || resp.ContentLength != 10 {
		t.Errorf("HEAD: got %d, %q of %d", resp.StatusCode, body, resp.ContentLength)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
		if resp, body = get(method, "/metrics"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" || strings.Contains(body, "metrics 1") {
			t.Errorf("%s: got %d %q, Allow %q", method, resp.StatusCode, body, resp.Header.Get("Allow"))
		}
	}
	resp, body = get("GET", "/?lang=zh&x=%zz", "Accept-Language", "de")
	if body != "lang=zh accept=de" {
		t.Errorf("page: got %q", body)
	}
	for key, want := range map[string]string{
		"Content-Security-Policy": "default-src 'self'", "Content-Language": "en", "Vary": "Accept-Language", "X-Frame-Options": "DENY",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
		"Access-Control-Allow-Origin": "",
	} {
		if got := resp.Header.Get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	for _, target := range []string{"/metrics/", "/Metrics", "//metrics", "/index.html"} {
		if resp, _ = get("GET", target); resp.StatusCode != 404 {
			t.Errorf("%s: got %d, want 404", target, resp.StatusCode)
		}
	}
}

// TestOddPageClients: malformed requests are rejected and do not disturb the listener.
func TestOddPageClients(t *testing.T) {
	s, _ := newTestServer(t, Config{Pages: testPages(plainPage)}, new(fakeInbox))
	addr := serveTCP(t, s)
	for _, test := range []struct {
		name, text string
		want       int
	}{
		{"HTTP/1.0", "GET /metrics HTTP/1.0\r\nHost: " + addr + "\r\n\r\n", 403},
		{"no host", "GET /metrics HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET /metrics HTTP/1.1\r\nHost: " + addr + "\r\nHost: x\r\n\r\n", 400},
		{"an absolute target of another host", "GET http://rebound.example/metrics HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 403},
		{"a header that is too long", "GET /metrics HTTP/1.1\r\nHost: " + addr + "\r\nAccept-Language: " + strings.Repeat("zh,", 8<<10) + "\r\n\r\n", 431},
		{"a well-formed request", "GET /metrics HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 200},
	} {
		nc := dial(t, addr)
		if _, err := io.WriteString(nc, test.text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if resp.StatusCode != test.want {
			t.Errorf("%s: got %d, want %d", test.name, resp.StatusCode, test.want)
		}
		_ = resp.Body.Close()
		_ = nc.Close()
	}
}

// TestPageRefusalsLoggedApart: repeated requests for pages do not suppress the log line of a
// rejected push.
func TestPageRefusalsLoggedApart(t *testing.T) {
	s, log := newTestServer(t, Config{Pages: testPages(plainPage)}, new(fakeInbox))
	for range 10 {
		s.ServeHTTP(httptest.NewRecorder(), from("198.51.100.1:40000", httptest.NewRequest("GET", "http://127.0.0.1:8711/metrics", nil)))
	}
	if w := ask(s, "POST", "/callback/"+platform+"?msg_signature=x", "<xml/>"); w.Code != 403 || w.Body.String() != "Forbidden\n" || !strings.Contains(log.String(), "owner="+platform) {
		t.Errorf("got %d, logged %s", w.Code, log)
	}
	if n := strings.Count(log.String(), "rejected"); n != 2 {
		t.Errorf("lines: got %d, want one of the pages and one of the push", n)
	}
}
