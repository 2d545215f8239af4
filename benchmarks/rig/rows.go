//go:build linux

package rig

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Row is one line of the table.
type Row struct {
	Figure  string  `json:"figure"`
	Reached float64 `json:"reached"`
	Least   float64 `json:"least"`
	Aim     float64 `json:"aim"`
	Below   bool    `json:"below"` // smaller is better
	Unit    string  `json:"unit,omitempty"`
	Note    string  `json:"note,omitempty"`
	Missing bool    `json:"missing,omitempty"`
}

// verdict compares the figure with its limits.
func (r *Row) verdict() string {
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

func (r *Row) goal(goal float64) string {
	if math.IsNaN(goal) {
		return ""
	}
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

// Rows is the table.
type Rows []Row

// AtLeast and AtMost add a row.
func (r *Rows) AtLeast(figure string, reached, least, aim float64, unit, note string) {
	*r = append(*r, Row{Figure: figure, Reached: reached, Least: least, Aim: aim, Unit: unit, Note: note})
}

func (r *Rows) AtMost(figure string, reached, least, aim float64, unit, note string) {
	*r = append(*r, Row{Figure: figure, Reached: reached, Least: least, Aim: aim, Below: true, Unit: unit, Note: note})
}

// Info adds a figure without a limit.
func (r *Rows) Info(figure string, reached float64, unit, note string) {
	r.AtMost(figure, reached, math.NaN(), math.NaN(), unit, note)
}

// Missing adds a figure that could not be measured.
func (r *Rows) Missing(figure string, why error) {
	*r = append(*r, Row{Figure: figure, Missing: true, Note: why.Error()})
}

func (r Rows) Print(out io.Writer) error {
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

// Median sorts its argument and returns the median, or 0.
func Median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
