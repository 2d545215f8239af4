package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// chart is a line plot. Its text and axes are readable on light and dark backgrounds.
type chart struct {
	Title, X   string // the title names the unit of y
	LogX, LogY bool
	lines      []line
}

// line is one figure of one server. The color identifies the server, the stroke the figure.
type line struct {
	server, figure string
	points         [][2]float64
}

// add adds a point to the line of a server's figure; "" if there is only one figure. Values of zero
// or less were not measured and are skipped.
func (c *chart) add(server, figure string, x, y float64) {
	if x <= 0 || y <= 0 {
		return
	}
	for i, l := range c.lines {
		if l.server == server && l.figure == figure {
			c.lines[i].points = append(l.points, [2]float64{x, y})
			return
		}
	}
	c.lines = append(c.lines, line{server, figure, [][2]float64{{x, y}}})
}

// ranks numbers values in the order of their first appearance.
type ranks []string

func (r *ranks) of(value string) int {
	i := slices.Index(*r, value)
	if i < 0 {
		i = len(*r)
		*r = append(*r, value)
	}
	return i
}

// Dimensions of the drawing, in pixels.
const (
	width, height                    = 720, 400
	left, right, top, bottom         = 70, 150, 40, 50
	innerWidth, innerHeight          = width - left - right, height - top - bottom
	ink                      string  = "#768390"
	textSize                 float64 = 12
)

// colors are those of the servers, and dashes the strokes of their figures.
var (
	colors = []string{"#0969da", "#cf222e", "#2da44e", "#8250df"}
	dashes = []string{"none", "7 4", "2 3"}
)

// axis maps values to positions.
type axis struct {
	low, high float64
	log       bool
}

// newAxis returns an axis for all values. It begins at the mark below the lowest value, or at zero,
// and ends at the mark above the highest.
func newAxis(values []float64, log bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: log}
	for _, v := range values {
		a.low, a.high = min(a.low, v), max(a.high, v)
	}
	if log {
		decades := axis{low: math.Pow(10, math.Floor(math.Log10(a.low))), high: math.Pow(10, math.Ceil(math.Log10(a.high)))}
		low, high := decades.low, decades.high
		for _, v := range decades.parts() {
			if v <= a.low {
				low = v
			}
			if v >= a.high {
				high = min(high, v)
			}
		}
		a.low, a.high = low, max(high, low*2)
		return a
	}
	step := a.step()
	a.low, a.high = 0, math.Ceil(a.high/step)*step
	return a
}

// step returns the distance of marks: 1, 2 or 5 times a power of ten, so that there are four to
// ten.
func (a axis) step() float64 {
	decade := math.Pow(10, math.Floor(math.Log10(a.high)))
	for _, part := range []float64{0.1, 0.2, 0.5} {
		if a.high/(decade*part) <= 10 {
			return decade * part
		}
	}
	return decade
}

// at returns the position of a value, from 0 to 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log10(v/a.low) / math.Log10(a.high/a.low)
	}
	return (v - a.low) / (a.high - a.low)
}

// parts returns 1, 2 and 5 times each power of ten within the axis, ascending.
func (a axis) parts() (all []float64) {
	for decade := math.Floor(math.Log10(a.low)); ; decade++ {
		for _, part := range []float64{1, 2, 5} {
			v := part * math.Pow(10, decade)
			if v > a.high*1.001 {
				return all
			}
			if v >= a.low*0.999 {
				all = append(all, v)
			}
		}
	}
}

// marks returns the labeled values of the axis.
func (a axis) marks() (marks []float64) {
	if a.log {
		all := a.parts()
		for _, v := range all {
			// With many decades, one mark each.
			if len(all) <= 10 || math.Abs(math.Log10(v)-math.Round(math.Log10(v))) < 1e-9 {
				marks = append(marks, v)
			}
		}
		return marks
	}
	for i := 0.0; i*a.step() <= a.high*1.001; i++ {
		marks = append(marks, i*a.step())
	}
	return marks
}

// short formats a mark.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}

// svg draws the chart.
func (c *chart) svg() []byte {
	var xs, ys []float64
	for _, l := range c.lines {
		for _, p := range l.points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	x, y := newAxis(xs, c.LogX), newAxis(ys, c.LogY)
	px := func(v float64) float64 { return left + x.at(v)*innerWidth }
	py := func(v float64) float64 { return top + innerHeight - y.at(v)*innerHeight }

	var b bytes.Buffer
	text := func(x, y float64, anchor, color, s string, more string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>`, x, y, anchor, color, more)
		_ = xml.EscapeText(&b, []byte(s)) // writing to a buffer cannot fail
		b.WriteString("</text>\n")
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%g">`+"\n", width, height, textSize)
	text(left, top-16, "start", ink, c.Title, ` font-size="15" font-weight="bold"`)
	for _, v := range x.marks() {
		fmt.Fprintf(&b, `<path d="M%.1f %d V%d" stroke="%s" stroke-opacity="0.3"/>`+"\n", px(v), top, top+innerHeight, ink)
		text(px(v), top+innerHeight+18, "middle", ink, short(v), "")
	}
	for _, v := range y.marks() {
		fmt.Fprintf(&b, `<path d="M%d %.1f H%d" stroke="%s" stroke-opacity="0.3"/>`+"\n", left, py(v), left+innerWidth, ink)
		text(left-8, py(v)+4, "end", ink, short(v), "")
	}
	text(left+innerWidth/2, height-10, "middle", ink, c.X, "")
	var servers, figures ranks
	for i, l := range c.lines {
		color, dash := colors[servers.of(l.server)%len(colors)], dashes[figures.of(l.figure)%len(dashes)]
		b.WriteString(`<path d="`)
		for j, p := range l.points {
			fmt.Fprintf(&b, "%c%.1f %.1f ", "ML"[min(j, 1)], px(p[0]), py(p[1]))
		}
		fmt.Fprintf(&b, `" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n", color, dash)
		for _, p := range l.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(p[0]), py(p[1]), color)
		}
		row := float64(top + 14 + 20*i)
		fmt.Fprintf(&b, `<path d="M%d %.1f h24" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n", left+innerWidth+14, row-4, color, dash)
		text(left+innerWidth+44, row, "start", color, strings.TrimSpace(l.server+" "+l.figure), "")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
