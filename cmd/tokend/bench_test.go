package main

import (
	"slices"
	"testing"
	"time"
)

func TestExpand(t *testing.T) {
	for pattern, want := range map[string][]string{
		"a/b/c":       {"a/b/c"},
		"a/{8-11}/c":  {"a/8/c", "a/9/c", "a/10/c", "a/11/c"},
		"a/{08-11}/c": {"a/08/c", "a/09/c", "a/10/c", "a/11/c"},
		"{0-0}":       {"0"},
	} {
		all, err := expand(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(all); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		999:           "999 ns",
		2180:          "2.18 µs",
		107_400:       "107 µs",
		4_490_000:     "4.49 ms",
		1_250_000_000: "1.25 s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
}
