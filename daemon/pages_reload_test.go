package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/config"
)

// fetchVia requests a path over a network and an address, without a connection of an earlier
// request. It returns the status, 0 if nobody listens, and the body.
func fetchVia(t *testing.T, network, address, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestPagesApart checks that the callbacks' listener shows no pages, that the pages' listener has
// no callbacks, and that both answer checks of their health without details.
func TestPagesApart(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	<-d.engine.Loaded()
	callbacks, pages := d.http.addr().String(), d.pages.addr().String()
	for _, test := range []struct {
		path             string
		callbacks, pages int
	}{
		{"/", 404, 200}, {"/status", 404, 200}, {"/metrics", 404, 200}, {"/healthz", 200, 200}, {"/readyz", 200, 200},
		{"/callback/open_work/wwsuite1", 403, 404},
	} {
		got, text := fetchVia(t, "tcp", callbacks, test.path)
		if got != test.callbacks || strings.Contains(text, "tokend") {
			t.Errorf("callbacks' %s: got %d %q, want %d", test.path, got, text, test.callbacks)
		}
		if got, _ = fetchVia(t, "tcp", pages, test.path); got != test.pages {
			t.Errorf("pages' %s: got %d, want %d", test.path, got, test.pages)
		}
	}
	d.running.Store(false)
	for _, address := range []string{callbacks, pages} {
		if got, text := fetchVia(t, "tcp", address, "/readyz"); got != 503 || text != "not ready" {
			t.Errorf("/readyz while stopping: got %d %q", got, text)
		}
		if got, text := fetchVia(t, "tcp", address, "/healthz"); got != 200 || text != "ok" {
			t.Errorf("/healthz while stopping: got %d %q", got, text)
		}
	}
}

// TestListenersMove checks that a reload opens, moves and closes both listeners, and that a reload
// that cannot listen changes nothing.
func TestListenersMove(t *testing.T) {
	s, file := newPlatformSite(t)
	file.HTTP, file.Pages = nil, nil
	d := s.start(file)
	foreign, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	a, b, c := freePort(t), freePort(t), freePort(t)
	local := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	path := filepath.Join(s.dir, "pages.sock")
	serves := func(address, request string) int {
		if file, unix := strings.CutPrefix(address, "unix:"); unix {
			status, _ := fetchVia(t, "unix", file, request)
			return status
		}
		status, _ := fetchVia(t, "tcp", strings.Replace(address, "0.0.0.0", "127.0.0.1", 1), request)
		return status
	}
	for _, step := range []struct {
		name        string
		http, pages string
		refused     string
		gone        string // an address that nobody serves any more
	}{
		{"nothing", "", "", "", ""},
		{"both", local(a), local(b), "", ""},
		{"the same", local(a), local(b), "", ""},
		{"pages elsewhere", local(a), local(c), "", local(b)},
		{"callbacks in use", foreign.Addr().String(), "", "[http] listen: address in use: " + foreign.Addr().String(), ""},
		{"pages in use", local(b), foreign.Addr().String(), "[pages] listen: address in use: " + foreign.Addr().String(), local(b)},
		{"all addresses of the port, pages in use", fmt.Sprintf("0.0.0.0:%d", a), foreign.Addr().String(), "[pages] listen: address in use: " + foreign.Addr().String(), ""},
		{"all addresses of the port", fmt.Sprintf("0.0.0.0:%d", a), local(c), "", ""},
		{"one address of the port", local(a), local(c), "", ""},
		{"pages on a Unix socket", local(a), "unix:" + path, "", local(c)},
		{"pages in no directory", local(a), "unix:" + path + "/s", "[pages] listen: socket " + path + "/s: ", ""},
		{"pages on TCP again", local(a), local(c), "", "unix:" + path},
		{"no callbacks", "", local(c), "", local(a)},
		{"none", "", "", "", local(c)},
	} {
		next := *file
		if next.HTTP = nil; step.http != "" {
			next.HTTP = &config.HTTP{Listen: step.http}
		}
		if next.Pages = nil; step.pages != "" {
			next.Pages = &config.Pages{Listen: step.pages}
		}
		err := d.Reload(t.Context(), &next)
		switch {
		case step.refused == "" && err != nil:
			t.Fatalf("%s: %v", step.name, err)
		case step.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), step.refused)):
			t.Errorf("%s: got %v, want %s", step.name, err, step.refused)
		case err == nil:
			file = &next
		}
		if file.HTTP != nil {
			if got := serves(file.HTTP.Listen, "/healthz"); got != 200 {
				t.Errorf("%s: callbacks: got %d", step.name, got)
			}
		}
		if file.Pages != nil {
			if got := serves(file.Pages.Listen, "/metrics"); got != 200 {
				t.Errorf("%s: pages: got %d", step.name, got)
			}
		}
		if step.gone != "" {
			s.eventually(step.name+": the old listener is closed", func() bool { return serves(step.gone, "/healthz") == 0 })
		}
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the pages' socket file is left")
	}
	d.stop()
	next := *file
	next.Pages = &config.Pages{Listen: local(c)}
	_ = d.Reload(t.Context(), &next)
	if serves(local(c), "/healthz") != 0 {
		t.Error("a reload after the stop opened a listener")
	}
}
