package daemon

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestCredentialMetrics checks that a reload turns metrics per credential off and on. A scrape
// during a reload must be complete and show one configuration.
func TestCredentialMetrics(t *testing.T) {
	s, file := newPlatformSite(t)
	d := s.start(file)
	base := "http://" + d.pages.addr().String()
	scrape := func() map[string]int {
		var parser = expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(fetchPage(t, base, "/metrics", "")))
		if err != nil {
			t.Error(err)
		}
		samples := map[string]int{}
		for name, f := range families {
			samples[name] = len(f.GetMetric())
		}
		return samples
	}
	named := scrape()
	n, budgets := named["tokend_credential_state"], named["tokend_budget_limit"]
	if n == 0 || budgets < 2 || named["tokend_credentials"] == 0 {
		t.Fatalf("got %v", named)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := scrape(); got["tokend_credential_state"] != 0 && got["tokend_credential_state"] != n || got["tokend_credentials"] != named["tokend_credentials"] {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	for i := range 10 {
		next, pages := *file, *file.Pages
		pages.CredentialMetrics = i%2 == 1
		next.Pages = &pages
		if err := d.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		want, wantBudgets := 0, 1 // of WeCom
		if pages.CredentialMetrics {
			want, wantBudgets = n, budgets
		}
		if got := scrape(); got["tokend_credential_state"] != want || got["tokend_budget_limit"] != wantBudgets {
			t.Errorf("credential_metrics = %v: got %d states and %d limits", pages.CredentialMetrics, got["tokend_credential_state"], got["tokend_budget_limit"])
		}
	}
	close(stop)
	readers.Wait()
}

// TestScrapeHead checks that HEAD returns the content type of the metrics.
func TestScrapeHead(t *testing.T) {
	s, file := newPlatformSite(t)
	base := "http://" + s.start(file).pages.addr().String()
	resp, err := http.Head(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) > 0 || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("got %d, %v, %d bytes, %v", resp.StatusCode, resp.Header, len(body), err)
	}
}
