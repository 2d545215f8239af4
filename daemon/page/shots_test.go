package page

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tokend/daemon/page/chromium"
)

// shots is a directory for screenshots.
var shots = flag.String("shots", "", "write screenshots of the status page to a `DIRECTORY`")

// serve serves the pages of a source as the daemon does.
func serve(t *testing.T, f *fakeSource) (base string) {
	t.Helper()
	p := New(f)
	mux := http.NewServeMux()
	ask := func(r *http.Request) Ask { return Ask{Values: r.URL.Query(), Accept: r.Header.Get("Accept-Language")} }
	answer := func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Type", Type)
		w.Header().Set("Content-Security-Policy", p.Policy())
		_, _ = w.Write(body)
	}
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		_, body := p.Show(r.Context(), ask(r))
		answer(w, body)
	})
	mux.HandleFunc("/credential", func(w http.ResponseWriter, r *http.Request) {
		_, body, _ := p.Credential(r.Context(), ask(r))
		answer(w, body)
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

// TestScreenshots writes screenshots of all sizes, color schemes and languages, with few, some and
// many credentials: of the first page, of a family, of what needs attention, and of one credential.
func TestScreenshots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	b := chromium.Start(t)
	heights := map[int]int{390: 844, 1280: 900, 1920: 1080}
	for _, n := range []int{3, 300, 20000} {
		base := serve(t, newFake(n, time.Now()))
		paths := map[string]string{"all": "/?"}
		if n == 300 {
			paths["one"] = "/credential?q=official_account/wx1a2b3c4d5e704027/access_token&"
		}
		if n == 20000 {
			paths["family"] = "/?family=official_account&"
		}
		for view, path := range paths {
			for width, height := range heights {
				for _, scheme := range []string{"light", "dark"} {
					for _, lang := range []string{"en", "zh"} {
						tab := b.Open(width, height, scheme)
						tab.Go(base + path + "lang=" + lang)
						tab.Until(`document.querySelector(".mode.live") !== null`)
						if view == "family" {
							tab.Eval(`document.querySelector("#list").scrollIntoView()`)
						}
						name := fmt.Sprintf("%d-%s-%d-%s-%s.png", n, view, width, scheme, lang)
						if err := os.WriteFile(filepath.Join(*shots, name), smaller(t, tab.Screenshot()), 0o644); err != nil {
							t.Fatal(err)
						}
						if faults := tab.Faults(); len(faults) > 0 {
							t.Errorf("%s: %q", name, faults)
						}
						if got := tab.Eval(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`); got != "true" {
							t.Errorf("%s: wider than the window", name)
						}
						tab.Close()
					}
				}
			}
		}
	}
}

// smaller returns a PNG with the 256 most frequent colors.
func smaller(t *testing.T, b []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	n := map[color.RGBA]int{}
	size := img.Bounds()
	for y := range size.Dy() {
		for x := range size.Dx() {
			n[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(n), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range colors[:min(len(colors), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colors {
		index[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(size, palette)
	for y := range size.Dy() {
		for x := range size.Dx() {
			few.SetColorIndex(x, y, index[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)])
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
