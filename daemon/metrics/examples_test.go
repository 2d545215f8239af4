package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDashboard checks the Grafana dashboard: every metric that it shows exists, and so does every
// label that it selects or groups by.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("../../docs/tokend-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(b, &dashboard); err != nil || dashboard.Title != "tokend" || len(dashboard.Panels) < 15 {
		t.Fatalf("%v: %q with %d panels", err, dashboard.Title, len(dashboard.Panels))
	}
	golden, err := os.ReadFile("testdata/scrape.prom")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]string{"up": {"job", "instance"}}
	for _, m := range regexp.MustCompile(`(?m)^(tokend_[a-z_]+)(?:\{(.*)\})? `).FindAllStringSubmatch(string(golden), -1) {
		labels[m[1]] = []string{"job", "instance"}
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			labels[m[1]] = append(labels[m[1]], l[1])
		}
	}
	has := func(metric, label string) bool {
		return slices.Contains(labels[metric], label)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: a repeated id, no title, no query, or too wide", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			metric := regexp.MustCompile(`\b(?:tokend_[a-z_]+|up)\b`).FindString(q.Expr)
			if labels[metric] == nil {
				t.Errorf("%s: no such metric: %s", p.Title, q.Expr)
				continue
			}
			used := regexp.MustCompile(`([a-z_]+)=~?"`).FindAllStringSubmatch(q.Expr, -1)
			for _, m := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(q.Expr, -1) {
				for by := range strings.SplitSeq(m[1], ", ") {
					used = append(used, []string{"", by})
				}
			}
			used = append(used, regexp.MustCompile(`\{\{([a-z]+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1)...)
			for _, m := range used {
				if !has(metric, m[1]) {
					t.Errorf("%s: %s has no label %s", p.Title, metric, m[1])
				}
			}
		}
	}
}

// TestPromtool lets Prometheus check the examples: the rules, the configuration, what the rules
// alert for, and a scrape.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{
		{"check", "rules", "../../docs/tokend.rules.yml"},
		{"check", "config", "../../docs/prometheus.yml"},
		{"test", "rules", "testdata/rules.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
