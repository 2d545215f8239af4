package page

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokend/daemon/page/chromium"
)

// shots is a directory for screenshots.
var shots = flag.String("shots", "", "write screenshots of the status page to a `DIRECTORY`")

var shot = flag.Int("shot", 0, "")

// serve serves the pages of a source as the daemon does.
func serve(t *testing.T, f *fakeSource) (base string) {
	t.Helper()
	p := New(f)
	mux := http.NewServeMux()
	ask := func(r *http.Request) Ask { return Ask{Values: r.URL.Query(), Accept: r.Header.Get("Accept-Language")} }
	answer := func(w http.ResponseWriter, body []byte, err error) {
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", Type)
		w.Header().Set("Content-Security-Policy", p.Policy())
		_, _ = w.Write(body)
	}
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		_, body, err := p.Show(r.Context(), ask(r))
		answer(w, body, err)
	})
	mux.HandleFunc("/credential", func(w http.ResponseWriter, r *http.Request) {
		_, body, _, err := p.Credential(r.Context(), ask(r))
		answer(w, body, err)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		_ = p.Follow(r.Context(), ask(r), func(data []byte) error {
			if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
				return err
			}
			return rc.Flush()
		})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return srv.URL
}

// TestScreenshots writes the screenshots for the documentation.
func TestScreenshots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	b := chromium.Start(t)
	for _, n := range []int{3, 300, 20000} {
		if *shot != 0 && n != *shot {
			continue
		}
		base := serve(t, newFake(n, time.Now()))
		for _, width := range []int{390, 1280, 1920} {
			for _, scheme := range []string{"light", "dark"} {
				for _, lang := range []string{"en", "zh"} {
					tab := b.Open(width, map[int]int{390: 844, 1280: 900, 1920: 1080}[width], scheme)
					tab.Go(base + "/?lang=" + lang)
					tab.Until(`document.querySelector(".mode.live") !== null`)
					name := filepath.Join(*shots, fmt.Sprintf("%d-%d-%s-%s.png", n, width, scheme, lang))
					if err := os.WriteFile(name, tab.Screenshot(), 0o644); err != nil {
						t.Fatal(err)
					}
					if faults := tab.Faults(); len(faults) > 0 {
						t.Errorf("%s: %q", name, faults)
					}
					if n == 300 {
						tab.Go(base + "/credential?q=official_account/wx1a2b3c4d5e704027/access_token&lang=" + lang)
						if err := os.WriteFile(strings.Replace(name, "/300-", "/one-", 1), tab.Screenshot(), 0o644); err != nil {
							t.Fatal(err)
						}
					}
					tab.Go("about:blank")
				}
			}
		}
	}
}
