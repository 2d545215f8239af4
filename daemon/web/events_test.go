package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// eventsPage sends an event each time that tick receives, and reports the end on ended.
func eventsPage(tick <-chan string, ended chan<- error) Page {
	return func(context.Context, Ask) (View, error) {
		return View{Events: func(ctx context.Context, send func([]byte) error) error {
			defer func() { ended <- ctx.Err() }()
			for {
				select {
				case <-ctx.Done():
					return nil
				case text := <-tick:
					if err := send([]byte(text)); err != nil {
						return err
					}
				}
			}
		}}, nil
	}
}

// TestEvents: events arrive at once, beyond the time limits of a request. They end when the client
// leaves and when the server stops, which does not wait for the grace period.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tick, ended := make(chan string), make(chan error, 2)
		s, _ := newTestServer(t, Config{Pages: map[string]Page{"/events": eventsPage(tick, ended)}}, nil)
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- s.Serve(ctx, hereListener{l}) }()
		client := http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial(t), nil },
		}}
		open := func() (*bufio.Reader, func() error) {
			t.Helper()
			resp, err := client.Get("http://localhost/events")
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
				t.Fatalf("got %d, %s", resp.StatusCode, got)
			}
			return bufio.NewReader(resp.Body), resp.Body.Close
		}
		r, leave := open()
		for i := range 3 {
			time.Sleep(max(readTimeout, writeTimeout) + time.Second)
			want := fmt.Sprintf("event %d", i)
			tick <- want
			line, err := r.ReadString('\n')
			if err != nil || line != "data: "+want+"\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			_, _ = r.ReadString('\n')
		}
		_ = leave()
		if err := <-ended; err == nil {
			t.Error("the client has left, and ctx has not ended")
		}
		r, _ = open()
		began := time.Now()
		stop()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("at the stop: %v", err)
		}
		<-ended
		if err := <-stopped; err != nil || time.Since(began) > gracePeriod/2 {
			t.Errorf("stopped after %v, %v", time.Since(began), err)
		}
	})
}

// TestEventsBounded: more clients than maxEvents get 503, and one more when another leaves. Other
// pages are not affected.
func TestEventsBounded(t *testing.T) {
	pages := testPages(plainPage)
	ended := make(chan error, maxEvents+1)
	pages["/events"] = eventsPage(nil, ended)
	s, _ := newTestServer(t, Config{Pages: pages}, nil)
	base := "http://" + serveTCP(t, s)
	var all []io.Closer
	for range maxEvents {
		resp, err := http.Get(base + "/events")
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err)
		}
		all = append(all, resp.Body)
	}
	get := func(path string) int {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := get("/events"); got != 503 {
		t.Errorf("one client more: got %d, want 503", got)
	}
	if got := get("/metrics"); got != 200 {
		t.Errorf("another page: got %d", got)
	}
	_ = all[0].Close()
	<-ended
	for deadline := time.Now().Add(20 * time.Second); get("/events") != 200; {
		if time.Now().After(deadline) {
			t.Fatal("the place of a client that has left is not free")
		}
	}
	for _, c := range all[1:] {
		_ = c.Close()
	}
}

// TestCompressed: a large page is compressed for clients that accept it, and a small one is not.
func TestCompressed(t *testing.T) {
	large := bytes.Repeat([]byte("<tr><td>credential</td></tr>\n"), 10_000)
	s, _ := newTestServer(t, Config{Pages: map[string]Page{
		"/":      func(context.Context, Ask) (View, error) { return View{Type: "text/html", Body: large}, nil },
		"/small": func(context.Context, Ask) (View, error) { return View{Type: "text/html", Body: large[:100]}, nil },
		"/gone": func(context.Context, Ask) (View, error) {
			return View{Type: "text/html", Body: large, Missing: true}, nil
		},
	}}, nil)
	base := "http://" + serveTCP(t, s)
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, test := range []struct {
		path, accept string
		status       int
		compressed   bool
	}{
		{"/", "gzip, deflate, br", 200, true}, {"/", "br;q=1, GZIP;q=0.5", 200, true}, {"/gone", "gzip", 404, true},
		{"/", "", 200, false}, {"/", "gzip;q=0", 200, false}, {"/", "br", 200, false}, {"/small", "gzip", 200, false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", test.accept)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != test.status || (resp.Header.Get("Content-Encoding") == "gzip") != test.compressed {
			t.Errorf("%s for %q: got %d, %q, %v", test.path, test.accept, resp.StatusCode, resp.Header.Get("Content-Encoding"), err)
			continue
		}
		if test.compressed {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, large) || len(b) > len(large)/20 {
				t.Errorf("%s: %d bytes in %d, %v", test.path, len(text), len(b), err)
			}
		}
		if vary := strings.Join(resp.Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept-Encoding") {
			t.Errorf("%s: Vary %q", test.path, vary)
		}
	}
}
