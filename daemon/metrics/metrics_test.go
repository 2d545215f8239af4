package metrics

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"iter"
	"os"
	"reflect"
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

	"tokend/daemon/credential"
	"tokend/daemon/server"
	"tokend/daemon/store"
	"tokend/daemon/survey"
	"tokend/fetchers"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// at is the time of the tests' surveys.
var at = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// summaries returns credentials of several kinds and states.
func summaries() []*credential.Summary {
	return []*credential.Summary{
		{
			Name: "official_account/wx0123/access_token", Kind: "stable_token", State: credential.Fresh,
			FetchedAt: at.Add(-time.Hour), ExpiresAt: at.Add(time.Hour), NextRefresh: at.Add(55*time.Minute + 7*time.Millisecond), Durable: true,
		},
		{Name: "official_account/wx0123/jsapi_ticket", Kind: "ticket", State: credential.Idle, Durable: true},
		{
			Name: "open_platform/wxcomponent/component_verify_ticket", Kind: "component_verify_ticket", State: credential.Fresh,
			FetchedAt: at.Add(-5 * time.Minute), ExpiresAt: at.Add(12 * time.Hour), Durable: true,
		},
		{
			Name: "work/ww0123/1000002/access_token", Kind: "corp_token", State: credential.Held, Durable: true,
			ErrCode: 60020, Failures: 3, NextRefresh: at.Add(time.Minute),
		},
		{
			Name: "work/ww0123/1000003/access_token", Kind: "corp_token", State: credential.Stale,
			FetchedAt: at.Add(-2 * time.Hour), ExpiresAt: at.Add(time.Minute), Failures: 1,
		},
		{
			Name: "work/ww0123/1000004/access_token", Kind: "corp_token", State: credential.Stale, Durable: true,
			FetchedAt: at.Add(-2 * time.Hour), ExpiresAt: at.Add(2 * time.Minute), Failures: 1,
		},
	}
}

// quotas returns an EachQuota that yields all.
func quotas(all []credential.Quota) func(counted bool) iter.Seq[*credential.Quota] {
	return func(counted bool) iter.Seq[*credential.Quota] {
		return func(yield func(*credential.Quota) bool) {
			for _, q := range all {
				if !counted {
					q.Spent = 0
				}
				if !yield(&q) {
					return
				}
			}
		}
	}
}

// example is a survey with at least one sample of every metric.
func example() survey.Survey {
	return survey.Survey{
		Version: "1.2.3",
		At:      at, Began: at.Add(-time.Hour), Loaded: at.Add(-time.Minute),
		Summaries: slices.Values(summaries()),
		Asked:     slices.Values(summaries()),
		Named:     true,
		Rest:      func() {},
		Census: credential.Census{
			Customers: []credential.CustomerStates{{Platform: "open_platform/wxcomponent", Kind: "authorizer_token", States: [credential.StateCount]int{0, 90_000, 5, 9_900, 0, 95}}},
			Holds:     []credential.Holds{{Kind: "authorizer_token", Reason: credential.Refused, ErrCode: 61004, Reaction: fetchers.AddressRefused, N: 95}, {Kind: "corp_token", Reason: credential.Unreachable, N: 1}},
		},
		EachQuota: quotas([]credential.Quota{
			{Word: "erroneous calls", Spent: 7, Limit: 1500, Window: time.Hour},
			{Account: "official_account/wx0123", Word: "force", Spent: 2, Limit: 20, Window: 24 * time.Hour},
			{Account: "official_account/wx0124", Word: "force", Spent: 5, Limit: 20, Window: 24 * time.Hour},
		}),
		Refreshes: credential.Refreshes{OK: 30, Same: 4, Failed: 2},
		Endpoints: []credential.Endpoint{{
			Path: "/cgi-bin/gettoken", OK: 30, Refused: 5, Unreachable: 2, Took: 12500 * time.Millisecond,
			Codes:   []credential.Code{{ErrCode: 0, N: 1}, {ErrCode: 60020, N: 4}},
			Buckets: [len(credential.Buckets)]int64{1, 2, 3, 20, 4, 3, 1, 1, 1, 0},
		}},
		Pushes: survey.Pushes{Kinds: []survey.Push{{Kind: "component_verify_ticket", N: 6}}, Failed: 1, Refused: 3, RefusedFor: [credential.RefusalCount]int64{2, 0, 1}, Previous: 2},
		Hosts: []credential.Host{
			{API: "weixin", Name: "api.weixin.qq.com"}, {API: "weixin", Name: "api2.weixin.qq.com", Used: true},
			{API: "work", Name: "qyapi.weixin.qq.com", Used: true},
		},
		Socket: server.Counts{
			Open: 12, Connections: 120, TurnedAway: 1, Reads: 900, Hits: 890, Waits: 10, Slowed: 2, Unaudited: 3,
			Requests: []server.Requests{{Verb: "PING", N: 4}, {Verb: "GET", N: 901}},
			Errors:   []server.Errors{{Code: "BAD_REQUEST", N: 2}, {Verb: "GET", Code: "DENIED", N: 1}},
		},
		LogDropped: 5,
		Backup:     at.Add(-2 * time.Hour),
		Durations:  []credential.Durations{{Kind: "corp_token", N: 36, Took: 9 * time.Second, Buckets: [len(credential.Buckets)]int64{1, 2, 3, 20, 4, 3, 1, 1, 1, 0}}},
		Store:      store.Stats{Commits: 40, Puts: 55, Failed: 2, Took: 8 * time.Millisecond, Journaled: 3, JournalFailed: 1, Refusing: true, Pending: 2, Missing: 1},
	}
}

// looking returns a look function that always returns v.
func looking(v survey.Survey) func(context.Context) survey.Survey {
	return func(context.Context) survey.Survey { return v }
}

// scrape returns the scrape of v.
func scrape(t testing.TB, v survey.Survey) string {
	t.Helper()
	var b strings.Builder
	write, err := New(looking(v)).Scrape(t.Context())
	if err == nil {
		err = write(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestScrapeGolden compares the names, labels and help texts of all metrics with a golden file.
// Users' dashboards and alerts depend on them.
func TestScrapeGolden(t *testing.T) {
	if want := "text/plain; version=0.0.4; charset=utf-8"; !strings.HasPrefix(ContentType, want) {
		t.Errorf("content type: got %q, want %q", ContentType, want)
	}
	body := scrape(t, example())
	var own strings.Builder
	for line := range strings.Lines(body) {
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
		if runtime.GOOS == "linux" && !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("missing: %s", name)
		}
	}
}

// TestLint checks the metrics with Prometheus' parser and linter, and with wellFormed.
func TestLint(t *testing.T) {
	for _, named := range []bool{true, false} {
		v := example()
		v.Named = named
		text := scrape(t, v)
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, "tokend_") {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
		wellFormed(t, text)
	}
}

// wellFormed reports faults that Prometheus' parser accepts: duplicate samples, and lines of a
// metric that are not adjacent. It returns the number of samples of each metric.
func wellFormed(t *testing.T, text string) map[string]int {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]int{}
	for name, f := range families {
		samples[name] = len(f.GetMetric())
	}
	seen := map[string]bool{}
	family := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(rest, " ")
		}
		key := line
		if !strings.HasPrefix(line, "#") {
			key = line[:strings.LastIndexByte(line, ' ')]
			if !strings.HasPrefix(line, family) {
				t.Errorf("%q is among the lines of %s", line, family)
			}
		}
		if seen[key] {
			t.Errorf("%q is a duplicate", key)
		}
		seen[key] = true
	}
	return samples
}

// TestText checks that Prometheus' parser reads the written names, labels and values.
func TestText(t *testing.T) {
	values := []string{"", "plain", "long enough for more than one word", `a long one with a "quote"`, `a long one with a \slash`, "a long one\nwith a line", "一个长长的名字", "ends in seven\x7f", `a "quoted" word`, `back\slash`, "two\nlines", `\n is not a line break`, "微信", `ends in \`}
	var b bytes.Buffer
	all := newText(&b, func() {})
	f := all.gauge("f", "Help with a \\ and\ntwo \"lines\".")
	for i, value := range values {
		f.add(float64(i)+0.25, label{"a", value}, label{"b", "x"})
	}
	all.counter("none_total", "Nothing of it is written.")
	const large = 1<<53 + 1 // not representable as a float
	all.counter("n_total", "Help.").count(large)
	all.flush()
	if !strings.HasSuffix(b.String(), "\ntokend_n_total 9007199254740993\n") || strings.Contains(b.String(), "none") {
		t.Errorf("got %s", &b)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, &b)
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
		t.Error("a label that is not UTF-8 is written")
	}
}

// TestSeriesDoNotGrowWithCustomers checks that a million customers make as many series as one.
func TestSeriesDoNotGrowWithCustomers(t *testing.T) {
	count := func(customers int) int {
		v := example()
		v.Census.Customers[0].States[credential.Fresh] = customers
		v.Census.Holds[0].N = customers
		return len(regexp.MustCompile(`(?m)^tokend_`).FindAllString(scrape(t, v), -1))
	}
	if one, million := count(1), count(1_000_000); one != million || one == 0 {
		t.Errorf("series: %d of one customer, %d of a million", one, million)
	}
}

// TestForeignTextIsNoLabel checks that no text from outside becomes a label. Text fields that
// example leaves empty count as foreign, so that the test covers fields added later.
func TestForeignTextIsNoLabel(t *testing.T) {
	const foreign = "not allow to access"
	v, all := example(), summaries()
	for _, part := range []any{all, &v.Census, v.Endpoints, v.Hosts, &v.Pushes} {
		fillEmpty(reflect.ValueOf(part), foreign)
	}
	v.Summaries, v.Asked = slices.Values(all), slices.Values(all)
	for _, v.Named = range []bool{true, false} {
		for line := range strings.Lines(scrape(t, v)) {
			if strings.Contains(line, foreign) {
				t.Errorf("named %v: got %s", v.Named, line)
			}
		}
	}
}

// fillEmpty sets every empty string in v to text.
func fillEmpty(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.Len() == 0 && v.CanSet() {
			v.SetString(text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fillEmpty(v.Elem(), text)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			fillEmpty(v.Index(i), text)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			fillEmpty(field, text)
		}
	}
}

// TestFaultInCaller checks that a panic in look reaches the caller of Scrape, which can recover. In
// a goroutine of the library it would end the process. An invalid label is an error.
func TestFaultInCaller(t *testing.T) {
	m := New(func(context.Context) survey.Survey { panic("a fault") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		_, _ = m.Scrape(t.Context())
	}()
	v := example()
	v.Pushes.Kinds[0].Kind = "\xff"
	write, err := New(looking(v)).Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := write(&b); err == nil || b.Len() > 0 {
		t.Errorf("got %d bytes and error %v, want an error only", b.Len(), err)
	}
}

// TestMetricsDocumented checks that docs/monitoring.md, in every language, has every metric with
// its type and labels. Every metric that a document or an example names must exist.
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
				t.Errorf("%s: missing: %s", file, name)
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

// labelsOf returns the labels of a metric as a cell of a table, sorted and without le.
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

// TestAlertsDocumented checks that docs/monitoring.md, in every language, has exactly the alerts of
// the example, with their severities.
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
