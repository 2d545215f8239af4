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

// testPages are a page that says the language it was asked for, and one that is whatever its
// function says.
func testPages(p Page) map[string]Page {
	return map[string]Page{
		"/": func(_ context.Context, ask Ask) (View, error) {
			return View{Type: "text/html; charset=utf-8", Language: "en", Policy: "default-src 'self'", Body: []byte("lang=" + ask.Language + " accept=" + ask.Accept)}, nil
		},
		"/metrics": p,
	}
}

func plainPage(context.Context, Ask) (View, error) {
	return View{Type: "text/plain; version=0.0.4", Body: []byte("metrics 1\n")}, nil
}

// from returns a request as it arrives over TCP from remote.
func from(remote string, r *http.Request) *http.Request {
	r.RemoteAddr = remote
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:8711"))
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
}

// TestWhoSeesPages holds that a page is shown on this host and to monitors, and to nobody whose
// request shows a sign of having come another way.
func TestWhoSeesPages(t *testing.T) {
	const here, monitor, there = "127.0.0.1:40000", "192.0.2.7:40000", "198.51.100.1:40000"
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
		{"a stranger", there, nil, 403},
		{"a neighbour of the monitor", "192.0.2.8:40000", nil, 403},
		{"a stranger who says it is here", there, header("X-Forwarded-For", "127.0.0.1"), 403},
		{"passed on", here, header("X-Forwarded-For", "198.51.100.1"), 403},
		{"passed on for here", here, header("X-Forwarded-For", "127.0.0.1"), 403},
		{"passed on, says nothing", here, header("X-Forwarded-For", ""), 403},
		{"passed on by the standard", here, header("Forwarded", "for=198.51.100.1"), 403},
		{"passed on by nginx as it is often told to", here, header("X-Real-IP", "198.51.100.1"), 403},
		{"passed on by a cache", here, header("Via", "1.1 varnish"), 403},
		{"passed on by nginx as it does untold", here, func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, 403},
		{"passed on for a monitor", monitor, header("X-Forwarded-For", "192.0.2.7"), 403},
		{"a name that leads here", here, host("rebound.example:8711"), 403},
		{"a name that begins as an address does", here, host("127.0.0.1.rebound.example"), 403},
		{"no host", here, host(""), 403},
		{"a host that is no host", here, host("[::1"), 200}, // an address all the same
		{"a monitor by a name", monitor, host("web1.example:8711"), 403},
		{"an address that is none", "@", nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, log := newTestServer(t, Config{Pages: testPages(plainPage), Unseen: testUnseen}, new(fakeInbox))
			s.SetMonitors(Monitors{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/64")})
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
					t.Errorf("%s: answered %q, want %q, in French", path, w.Body, refused) // whatever the reason
				}
				if test.want == 403 && (strings.Contains(w.Body.String(), "metrics") || !strings.Contains(log.String(), "status=403 reason=")) {
					t.Errorf("%s: answered %q, logged %q", path, w.Body, log)
				}
			}
		})
	}
}

// testUnseen is what who may not see a page is told, in any language.
func testUnseen(ask Ask) (language, text string) {
	return ask.Accept, "look elsewhere, " + ask.Accept
}

// TestMonitorsChange holds that a reload decides anew who sees pages, on connections that are open
// too.
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

// TestPageAnswers holds the methods, header fields and bodies of pages.
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

// TestOddPageClients holds that what is no proper request for a page is refused, and leaves the
// listener as it was.
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
		{"a proper one", "GET /metrics HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 200},
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

// TestPagesHideNoRefusedPush holds that who asks for pages again and again keeps the refusal of a
// push out of no log.
func TestPagesHideNoRefusedPush(t *testing.T) {
	s, log := newTestServer(t, Config{Pages: testPages(plainPage)}, new(fakeInbox))
	for range 10 {
		s.ServeHTTP(httptest.NewRecorder(), from("198.51.100.1:40000", httptest.NewRequest("GET", "http://127.0.0.1:8711/metrics", nil)))
	}
	if w := ask(s, "POST", "/callback/"+platform+"?msg_signature=x", "<xml/>"); w.Code != 403 || w.Body.String() != "Forbidden\n" || !strings.Contains(log.String(), "owner="+platform) {
		t.Errorf("got %d, logged %s", w.Code, log)
	}
	if n := strings.Count(log.String(), "refused"); n != 2 {
		t.Errorf("lines: got %d, want one of the pages and one of the push", n)
	}
}
