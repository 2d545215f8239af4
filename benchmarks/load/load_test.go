//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"tokend/benchmarks/rig"
)

// TestDisturbances checks that each scenario works, on a small daemon. It measures nothing.
func TestDisturbances(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors")
	}
	t.Chdir("../..")
	dir, err := os.MkdirTemp("", "load") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &load{Rig: rig.Rig{Dir: dir}, stdout: io.Discard, stderr: io.Discard, rounds: 1, seconds: "0.1"}
	if err := l.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.sides = []side{{"tokend", l.Tokend}}
	all, stop, err := l.launch(t.Context(), "s", world{customers: 20, accounts: 5, listed: 1200, http: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for name, disturb := range map[string]disturbance{
		"watch": counted(0, watchOnce), "list": counted(time.Second, listOnce), "scrape": counted(0, scrapeOnce), "pages": followPages, "reload": counted(0, reloadOnce),
		"import": counted(0, importer()), "put": writer(100), "connect": connector,
	} {
		n, err := 0, error(nil)
		for span := 100 * time.Millisecond; n == 0 && err == nil && span < time.Minute; span *= 4 {
			ctx, cancel := context.WithTimeout(t.Context(), span)
			n, err = disturb(ctx, all[0])
			cancel()
		}
		if err != nil || n == 0 {
			t.Errorf("%s: %d times, %v", name, n, err)
		}
	}
	if c, err := l.cost(t.Context(), all[0], func(b []byte, name string) []byte { return fmt.Appendf(b, "REJECT %s stale\n", name) }); err != nil || c <= 0 {
		t.Errorf("reject: %v, %v", c, err)
	}
	if n, err := allocated(t.Context(), all[0]); err != nil || n <= 0 {
		t.Errorf("a scrape: got %v bytes allocated, %v", n, err)
	}
	if err := fetchAll(t.Context(), all[0].Socket, "official_account/"); err != nil {
		t.Errorf("fetching all tokens: %v", err)
	}
	var r reads
	if err := l.round(t.Context(), all[0], &r, connector); err != nil {
		t.Fatal(err)
	}
	if len(r.calm) != 1 || len(r.busy) != 1 || r.ratio() <= 0 {
		t.Errorf("got %+v", r)
	}
	l.report("tests", []reads{r})
	var out strings.Builder
	if err := l.Rows.Print(&out); err != nil || !strings.Contains(out.String(), "longest pause, tests") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestChoose(t *testing.T) {
	if got, err := rig.Choose(scenarios, ""); err != nil || len(got) != len(scenarios) {
		t.Errorf("got %d, %v", len(got), err)
	}
	if got, err := rig.Choose(scenarios, "list,calm"); err != nil || len(got) != 2 || got[0].Name != "list" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := rig.Choose(scenarios, "lists"); err == nil || !strings.Contains(err.Error(), `"lists"`) {
		t.Errorf("got %v", err)
	}
}
