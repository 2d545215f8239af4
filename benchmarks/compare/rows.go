//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	Figure  string  `json:"figure"`
	Reached float64 `json:"reached"`
	Least   float64 `json:"least"`
	Aim     float64 `json:"aim"`
	Below   bool    `json:"below"` // smaller is better
	Unit    string  `json:"unit,omitempty"`
	Note    string  `json:"note,omitempty"`
	Missing bool    `json:"missing,omitempty"`
}

// verdict says how a row stands.
func (r *row) verdict() string {
	ahead := func(goal float64) bool { return r.Below && r.Reached <= goal || !r.Below && r.Reached >= goal }
	switch {
	case r.Missing:
		return "missing"
	case math.IsNaN(r.Least):
		return ""
	case ahead(r.Aim):
		return "aim"
	case ahead(r.Least):
		return "pass"
	}
	return "short"
}

func (r *row) goal(goal float64) string {
	sign := ">= "
	if r.Below {
		sign = "<= "
	}
	return sign + figure(goal) + r.Unit
}

func figure(f float64) string {
	switch {
	case f == math.Trunc(f) || math.Abs(f) >= 100:
		return fmt.Sprintf("%.0f", f)
	case math.Abs(f) >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// rows is the table.
type rows []row

// atLeast and atMost add a row.
func (r *rows) atLeast(figure string, reached, least, aim float64, unit, note string) {
	*r = append(*r, row{Figure: figure, Reached: reached, Least: least, Aim: aim, Unit: unit, Note: note})
}

func (r *rows) atMost(figure string, reached, least, aim float64, unit, note string) {
	*r = append(*r, row{Figure: figure, Reached: reached, Least: least, Aim: aim, Below: true, Unit: unit, Note: note})
}

// missing adds what could not be measured.
func (r *rows) missing(figure string, why error) {
	*r = append(*r, row{Figure: figure, Missing: true, Note: why.Error()})
}

func (r rows) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tat least\taim\treached\t\tnote")
	for _, one := range r {
		if one.Missing {
			fmt.Fprintf(t, "%s\t\t\t\tmissing\t%s\n", one.Figure, strings.ReplaceAll(strings.TrimSpace(one.Note), "\n", "; "))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Figure, one.goal(one.Least), one.goal(one.Aim), figure(one.Reached)+one.Unit, one.verdict(), one.Note)
	}
	return t.Flush()
}

// median returns the middle one of several, which it sorts; 0 of none.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}

// data is what benchmarks/plot draws from.
type data struct {
	Machine     []string `json:"machine"`
	Quick       bool     `json:"quick,omitempty"`
	Calm        string   `json:"calm,omitempty"`
	Rows        rows     `json:"rows"`
	Connections []point  `json:"connections,omitempty"`
	Credentials []cost   `json:"credentials,omitempty"`
}

// point is one server at one number of connections: medians.
type point struct {
	Server      string  `json:"server"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"per_second"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
}

// cost is what one server takes with one number of credentials: medians.
type cost struct {
	Server      string  `json:"server"`
	Credentials int     `json:"credentials"`
	Private     float64 `json:"private_bytes"`
	Start       float64 `json:"start_ms"`
}

func (d *data) write(file string) error {
	b, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
