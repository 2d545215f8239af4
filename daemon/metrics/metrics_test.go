package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/store"
	"tokend/daemon/survey"
	"tokend/fetchers"
)

var update = flag.Bool("update", false, "write the golden files anew")

// at is when the daemon of the tests is looked at.
var at = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// example is a daemon with one of everything.
func example() survey.Survey {
	return survey.Survey{
		Version: "1.2.3",
		At:      at, Began: at.Add(-time.Hour), Loaded: at.Add(-time.Minute),
		Credentials: []refresh.Status{
			{
				Listing: refresh.Listing{Name: "official_account/wx0123/access_token", State: refresh.Fresh, TTL: time.Hour}, Kind: "stable_token",
				FetchedAt: at.Add(-time.Hour), ExpiresAt: at.Add(time.Hour), NextRefresh: at.Add(55 * time.Minute),
				Fingerprint: "0123456789ab", Durable: true,
			},
			{Listing: refresh.Listing{Name: "official_account/wx0123/jsapi_ticket", State: refresh.Idle}, Kind: "ticket", Durable: true},
			{
				Listing: refresh.Listing{Name: "work/ww0123/1000002/access_token", State: refresh.Held}, Kind: "corp_token", Durable: true,
				LastError: "errcode=60020 not allow to access from your ip, from ip: 203.0.113.9", ErrCode: 60020, Address: "203.0.113.9",
				Failures: 3, Held: true, HoldUntil: at.Add(time.Minute), ErrorAt: at.Add(-time.Minute), NextRefresh: at.Add(time.Minute),
			},
			{
				Listing: refresh.Listing{Name: "work/ww0123/1000003/access_token", State: refresh.Stale, TTL: time.Minute}, Kind: "corp_token",
				FetchedAt: at.Add(-2 * time.Hour), ExpiresAt: at.Add(time.Minute), LastError: "no answer", Failures: 1,
			},
		},
		Census: refresh.Census{
			Customers: []refresh.Crowd{{Platform: "open_platform/wxcomponent", Kind: "authorizer_token", States: [refresh.StateCount]int{0, 90_000, 5, 9_900, 0, 95}}},
			Holds:     []refresh.Holds{{Kind: "authorizer_token", Reason: refresh.Refused, ErrCode: 61004, Reaction: fetchers.AddressRefused, N: 95}, {Kind: "corp_token", Reason: refresh.Unreachable, N: 1}},
		},
		Quotas: []refresh.Quota{
			{Word: "erroneous calls", Spent: 7, Limit: 1500, Window: time.Hour},
			{Account: "official_account/wx0123", Word: "force", Spent: 2, Limit: 20, Window: 24 * time.Hour},
		},
		Refreshes: refresh.Refreshes{OK: 30, Same: 4, Failed: 2},
		Endpoints: []survey.Endpoint{{
			Path: "/cgi-bin/gettoken", OK: 30, Refused: 5, Unreachable: 2, Took: 12500 * time.Millisecond,
			Codes:   []survey.Code{{ErrCode: 0, N: 1}, {ErrCode: 60020, N: 4}},
			Buckets: [len(survey.Buckets)]int64{1, 2, 3, 20, 4, 3, 1, 1, 1, 0},
		}},
		Pushes: survey.Pushes{Kinds: []survey.Push{{Kind: "component_verify_ticket", N: 6}}, Failed: 1, Refused: 3, Previous: 2},
		Hosts: []survey.Host{
			{API: "weixin", Name: "api.weixin.qq.com"}, {API: "weixin", Name: "api2.weixin.qq.com", Used: true},
			{API: "work", Name: "qyapi.weixin.qq.com", Used: true},
		},
		Socket: server.Counts{
			Open: 12, Connections: 120, TurnedAway: 1, Reads: 900, Hits: 890, Waits: 10, Slowed: 2, Unaudited: 3,
			Requests: []server.Requests{{Verb: "PING", N: 4}, {Verb: "GET", N: 901}},
			Errors:   []server.Errors{{Code: "BAD_REQUEST", N: 2}, {Verb: "GET", Code: "DENIED", N: 1}},
		},
		LogDropped: 5,
		Store:      store.Stats{Commits: 40, Puts: 55, Failed: 2, Took: 8 * time.Millisecond, Journaled: 3, JournalFailed: 1, Refusing: true, Pending: 2, Missing: 1},
	}
}

// TestScrapeIsAsAgreed holds the names, labels and help of all metrics to a golden file: dashboards
// and alerts are written against them.
func TestScrapeIsAsAgreed(t *testing.T) {
	contentType, body, err := New(example).Scrape()
	if err != nil {
		t.Fatal(err)
	}
	if want := "text/plain; version=0.0.4; charset=utf-8"; !strings.HasPrefix(contentType, want) {
		t.Errorf("content type: got %q, want %q", contentType, want)
	}
	var own strings.Builder
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, "tokend_") {
			own.WriteString(strings.ReplaceAll(line, runtime.Version(), "go1.26"))
		}
	}
	const golden = "testdata/scrape.prom"
	if *update {
		if err := os.WriteFile(golden, []byte(own.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), own.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes", "process_start_time_seconds"} {
		if runtime.GOOS == "linux" && !strings.Contains(string(body), "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestLint holds the metrics to the conventions of Prometheus and to what its library, which reads
// them here, makes of them; and to what it does not look for: that no sample is there twice, and
// that all of a metric stand together.
func TestLint(t *testing.T) {
	v, all := example(), text{}
	all.survey(&v)
	if all.err != nil {
		t.Fatal(all.err)
	}
	problems, err := promlint.New(bytes.NewReader(all.b)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(all.b)) {
		key := line
		if !strings.HasPrefix(line, "#") {
			key = line[:strings.LastIndexByte(line, ' ')]
		}
		if seen[key] {
			t.Errorf("%q is there twice", key)
		}
		seen[key] = true
	}
}

// TestText holds that what is written is read as what was meant, by the library that others read it
// with.
func TestText(t *testing.T) {
	values := []string{"", "plain", `a "quoted" one`, `back\slash`, "two\nlines", `\n is no line's end`, "微信", `ends in \`}
	var all text
	f := all.gauge("f", "Help with a \\ and\ntwo \"lines\".")
	for i, value := range values {
		f.add(float64(i)+0.25, label{"a", value}, label{"b", "x"})
	}
	all.counter("none_total", "Nothing of it is written.")
	const large = 1<<53 + 1 // which is no float
	all.counter("n_total", "Help.").count(large)
	if !strings.HasSuffix(string(all.b), "\ntokend_n_total 9007199254740993\n") || strings.Contains(string(all.b), "none") {
		t.Errorf("got %s", all.b)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(all.b))
	if err != nil {
		t.Fatalf("%v\n%s", err, all.b)
	}
	got := families["tokend_f"]
	if want := "Help with a \\ and\ntwo \"lines\"."; got.GetHelp() != want || len(got.GetMetric()) != len(values) {
		t.Fatalf("got help %q of %d samples, want %q of %d", got.GetHelp(), len(got.GetMetric()), want, len(values))
	}
	for i, m := range got.GetMetric() {
		if labels := m.GetLabel(); labels[0].GetValue() != values[i] || labels[1].GetValue() != "x" || m.GetGauge().GetValue() != float64(i)+0.25 {
			t.Errorf("%q, got %v", values[i], m)
		}
	}
	f.add(1, label{"a", "\xff"}, label{"b", "x"})
	if all.err == nil {
		t.Error("a label that is no UTF-8 is written")
	}
}

// TestWhatAScrapeTakes holds that the samples of credentials are made of nothing but their lines: a
// thousand times as many take as many allocations.
func TestWhatAScrapeTakes(t *testing.T) {
	allocations := func(n int) float64 {
		v := example()
		v.Credentials = slices.Repeat(v.Credentials[:1], n)
		room := make([]byte, 0, 1<<10*n)
		return testing.AllocsPerRun(10, func() {
			all := text{b: room}
			all.survey(&v)
		})
	}
	if few, many := allocations(100), allocations(1000); many > few || few > 1000 {
		t.Errorf("%v allocations for 100 credentials, %v for 1000", few, many)
	}
}

// TestSeriesDoNotGrowWithCustomers holds that a million customers make as many series as one.
func TestSeriesDoNotGrowWithCustomers(t *testing.T) {
	count := func(customers int) int {
		_, body, err := New(func() survey.Survey {
			v := example()
			v.Census.Customers[0].States[refresh.Fresh] = customers
			v.Census.Holds[0].N = customers
			return v
		}).Scrape()
		if err != nil {
			t.Fatal(err)
		}
		return len(regexp.MustCompile(`(?m)^tokend_`).FindAll(body, -1))
	}
	if one, million := count(1), count(1_000_000); one != million || one == 0 {
		t.Errorf("series: %d of one customer, %d of a million", one, million)
	}
}

// TestWhatCameFromElsewhereIsNoLabel holds that neither a fingerprint, nor what WeChat has said,
// nor an address is shown.
func TestWhatCameFromElsewhereIsNoLabel(t *testing.T) {
	_, body, err := New(example).Scrape()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"0123456789ab", "not allow", "203.0.113.9", "no answer\""} {
		if strings.Contains(string(body), text) {
			t.Errorf("%q is shown", text)
		}
	}
}

// TestAFaultIsOfTheScrape holds that a fault while the daemon is looked at comes to whoever
// scrapes, who can contain it, and not to a goroutine of the library's, where it would end the
// process; and that a label which cannot be one is an error and no fault.
func TestAFaultIsOfTheScrape(t *testing.T) {
	m := New(func() survey.Survey { panic("a fault") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the fault did not come here")
			}
		}()
		_, _, _ = m.Scrape()
	}()
	m = New(func() survey.Survey {
		v := example()
		v.Pushes.Kinds[0].Kind = "\xff"
		return v
	})
	if _, body, err := m.Scrape(); err == nil || body != nil {
		t.Errorf("got %d bytes and error %v, want an error alone", len(body), err)
	}
}

func BenchmarkScrape(b *testing.B) {
	v := example()
	for i := range 100 {
		c := v.Credentials[0]
		c.Name = fmt.Sprintf("official_account/wx%04d/access_token", i)
		v.Credentials = append(v.Credentials, c)
	}
	m := New(func() survey.Survey { return v })
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.Scrape(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMetricsDocumented holds that docs/monitoring.md, in every language that it is in, has every
// metric with its type and labels, and that every metric that a text or an example names exists.
func TestMetricsDocumented(t *testing.T) {
	b, err := os.ReadFile("testdata/scrape.prom")
	if err != nil {
		t.Fatal(err)
	}
	golden := string(b)
	read := func(file string) (text string, exists bool) {
		b, err := os.ReadFile("../../" + file)
		if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(file, "docs/zh/") {
			return "", false
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(b), true
	}
	named := regexp.MustCompile(`\btokend_[a-z_]+`)
	for _, file := range []string{"README.md", "README.zh-CN.md", "docs/monitoring.md", "docs/zh/monitoring.md", "docs/tokend.rules.yml", "systemd/tokend.8"} {
		text, _ := read(file)
		for _, name := range named.FindAllString(text, -1) {
			if name != "tokend_" && !strings.Contains(golden, "# TYPE "+name+" ") {
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
	families := regexp.MustCompile(`(?m)^# TYPE (tokend_[a-z_]+) ([a-z]+)$`).FindAllStringSubmatch(golden, -1)
	if len(families) < 30 {
		t.Fatalf("only %d families were found", len(families))
	}
	for _, file := range []string{"docs/monitoring.md", "docs/zh/monitoring.md"} {
		text, exists := read(file)
		for _, f := range families {
			row := "\n| `" + f[1] + "` | " + f[2] + " | " + labelsOf(golden, f[1]) + "|"
			if exists && !strings.Contains(text, row) {
				t.Errorf("%s lacks %s", file, strings.TrimSpace(row))
			}
		}
	}
}

// labelsOf returns the labels of a metric, in order and without le, as a cell of a table.
func labelsOf(scrape, name string) string {
	sample := regexp.MustCompile(`(?m)^` + name + `(?:_bucket|_count)?\{(.*)\} `).FindStringSubmatch(scrape)
	if sample == nil {
		return ""
	}
	var cell []string
	for _, m := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(sample[1], -1) {
		if m[1] != "le" {
			cell = append(cell, "`"+m[1]+"`")
		}
	}
	slices.Sort(cell)
	return strings.Join(cell, ", ") + " "
}

// TestAlertsDocumented holds that docs/monitoring.md, in every language that it is in, has every
// alert of the example and its severity, and no other.
func TestAlertsDocumented(t *testing.T) {
	rules, err := os.ReadFile("../../docs/tokend.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?s)- alert: (\w+).*?severity: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		want = append(want, m[1]+" "+m[2])
	}
	for _, page := range []string{"../../docs/monitoring.md", "../../docs/zh/monitoring.md"} {
		text, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(page, "/zh/") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range regexp.MustCompile("(?m)^\\| `(Tokend\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(text), -1) {
			got = append(got, m[1]+" "+m[2])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", page, got, want)
		}
		for _, m := range regexp.MustCompile(`(?m)^ *expr: .*$`).FindAllString(string(text), -1) {
			if !strings.Contains(string(rules), strings.TrimSpace(m)+"\n") {
				t.Errorf("%s: the rules have no %s", page, m)
			}
		}
	}
}
