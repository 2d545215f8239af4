package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tokend/benchmarks/generator"
)

// print writes the result of a run.
func (b *bench) print(r *generator.Result) error {
	if b.json {
		return b.printJSON(r)
	}
	p := &b.plan
	t := newTable(b.env.stdout)
	t.row("target", fmt.Sprintf("%s at %s, %s", b.target, p.Socket, plural(p.Requests.Len(), "name")))
	t.row("load", b.load())
	t.row("replies", fmt.Sprintf("%s in %.2f s", grouped(r.Replies), r.Elapsed.Seconds()))
	t.row("errors", failures(r))
	t.row("rate", fmt.Sprintf("%s /s", grouped(int64(r.Rate()))))
	l := &r.Latency
	t.row("latency", fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, max %s", brief(l.Quantile(0.5)), brief(l.Quantile(0.99)), brief(l.Quantile(0.999)), brief(l.Max())))
	if r.CPU > 0 {
		t.row("own CPU", fmt.Sprintf("%.0f %% of a core, %s per request", 100*r.Load(), brief(r.CPU/time.Duration(r.Replies))))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if p.Rate == 0 && r.Load() > 0.97*float64(p.Threads) {
		fmt.Fprintf(b.env.stderr, "tokend: this command was as busy as the server: if a core is free, use more --threads\n")
	}
	return nil
}

// load describes the load.
func (b *bench) load() string {
	p := &b.plan
	words := []string{plural(p.Connections, "connection")}
	switch {
	case p.Reconnect:
		words = append(words, "a new one for each request")
	case p.Batch > 1:
		words = append(words, fmt.Sprintf("%d requests together", p.Batch))
	}
	if p.Rate > 0 {
		words = append(words, fmt.Sprintf("%g requests due per second", p.Rate))
	}
	if p.Threads > 1 {
		words = append(words, fmt.Sprintf("%d threads", p.Threads))
	}
	return strings.Join(words, ", ")
}

// failures returns the number of failed requests, in total and for each reason.
func failures(r *generator.Result) string {
	words := []string{fmt.Sprint(r.Failed())}
	for _, f := range kinds(r) {
		words = append(words, fmt.Sprintf("%s %d", f.key, f.value))
	}
	return strings.Join(words, ", ")
}

// kinds returns the number of failed requests for each reason, most frequent first.
func kinds(r *generator.Result) []member {
	all := maps.Clone(r.Refused)
	if all == nil {
		all = map[string]int64{}
	}
	all["lost"] += r.Lost
	all["unsent"] += r.Unsent
	var found []member
	for why, n := range all {
		if n > 0 {
			found = append(found, member{why, n})
		}
	}
	slices.SortFunc(found, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.value.(int64), a.value.(int64)), cmp.Compare(a.key, b.key))
	})
	return found
}

// brief returns a latency with three significant digits.
func brief(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

// printJSON writes the result as JSON. Times are in microseconds unless the key says seconds.
func (b *bench) printJSON(r *generator.Result) error {
	p := &b.plan
	us := func(d time.Duration) any {
		return json.Number(fmt.Sprintf("%.3f", float64(d)/float64(time.Microsecond)))
	}
	number := func(f float64) any { return json.Number(fmt.Sprintf("%.6f", f)) }
	l := &r.Latency
	errors := object(kinds(r))
	if errors == nil {
		errors = object{}
	}
	enc := json.NewEncoder(b.env.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(object{
		{"target", b.target},
		{"socket", p.Socket},
		{"names", int64(p.Requests.Len())},
		{"connections", int64(p.Connections)},
		{"pipeline", int64(p.Batch)},
		{"connect", p.Reconnect},
		{"due_per_second", number(p.Rate)},
		{"threads", int64(p.Threads)},
		{"seconds", number(r.Elapsed.Seconds())},
		{"replies", r.Replies},
		{"failed", r.Failed()},
		{"errors", errors},
		{"per_second", number(r.Rate())},
		{"mean_us", us(l.Mean())},
		{"p50_us", us(l.Quantile(0.5))},
		{"p90_us", us(l.Quantile(0.9))},
		{"p99_us", us(l.Quantile(0.99))},
		{"p999_us", us(l.Quantile(0.999))},
		{"max_us", us(l.Max())},
		{"own_cpu_seconds", number(r.CPU.Seconds())},
	})
}
