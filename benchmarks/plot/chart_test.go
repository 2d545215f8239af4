package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAxis(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		log    bool
		marks  []float64
	}{
		{[]float64{1, 2000}, true, []float64{1, 10, 100, 1000}},
		{[]float64{5}, true, []float64{5, 10}},
		{[]float64{10.5, 86}, true, []float64{10, 20, 50, 100}},
		{[]float64{120, 480}, false, []float64{0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500}},
	} {
		a := newAxis(tt.values, tt.log)
		got := a.marks()
		if !slices.EqualFunc(got, tt.marks, func(a, b float64) bool { return a/b > 0.999 && a/b < 1.001 || a == b }) {
			t.Errorf("%v: got %v, want %v", tt.values, got, tt.marks)
		}
		for _, v := range tt.values {
			if at := a.at(v); at < 0 || at > 1 {
				t.Errorf("%v is at %v", v, at)
			}
		}
	}
}

// TestDraw holds that the four drawings are well-formed and contain every server.
func TestDraw(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "in.json")
	text := `{"connections": [{"server": "a<b", "connections": 1, "per_second": 10, "p50_us": 1, "p99_us": 2},
		{"server": "a<b", "connections": 50, "per_second": 30, "p50_us": 1, "p99_us": 2}],
		"credentials": [{"server": "a<b", "credentials": 10, "private_bytes": 9e6, "start_ms": 12}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := draw(file, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"throughput", "latency", "memory", "start"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "a&lt;b") {
			t.Errorf("%s: the server is missing", name)
		}
		for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := draw(file, dir); err == nil {
		t.Error("a drawing without data returned no error")
	}
}
