package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// chart is a plot of lines. Its text and axes show on a white ground and on a dark one.
type chart struct {
	Title, X, Y string
	LogX, LogY  bool
	lines       []line
}

// line is one server.
type line struct {
	name   string
	points [][2]float64
}

// add adds a point to the line of that name. One that is not above zero was not measured.
func (c *chart) add(name string, x, y float64) {
	if x <= 0 || y <= 0 {
		return
	}
	for i := range c.lines {
		if c.lines[i].name == name {
			c.lines[i].points = append(c.lines[i].points, [2]float64{x, y})
			return
		}
	}
	c.lines = append(c.lines, line{name, [][2]float64{{x, y}}})
}

// The drawing, in pixels.
const (
	width, height                    = 720, 400
	left, right, top, bottom         = 70, 150, 40, 50
	innerWidth, innerHeight          = width - left - right, height - top - bottom
	ink                      string  = "#768390"
	textSize                 float64 = 12
)

var colours = []string{"#0969da", "#cf222e", "#2da44e", "#8250df", "#bf8700", "#1b7c83"}

// axis maps figures to a length.
type axis struct {
	low, high float64
	log       bool
}

// newAxis returns the axis of all values: from the decade below to the one above, or from zero.
func newAxis(values []float64, log bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: log}
	for _, v := range values {
		a.low, a.high = min(a.low, v), max(a.high, v)
	}
	if log {
		a.low = math.Pow(10, math.Floor(math.Log10(a.low)))
		a.high = max(math.Pow(10, math.Ceil(math.Log10(a.high))), a.low*10)
		return a
	}
	step := a.step()
	a.low, a.high = 0, math.Ceil(a.high/step)*step
	return a
}

// step is the distance of marks: 1, 2 or 5 of some decade, so that there are four to ten.
func (a axis) step() float64 {
	decade := math.Pow(10, math.Floor(math.Log10(a.high)))
	for _, part := range []float64{0.1, 0.2, 0.5} {
		if a.high/(decade*part) <= 10 {
			return decade * part
		}
	}
	return decade
}

// at returns where a value lies, from 0 to 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log10(v/a.low) / math.Log10(a.high/a.low)
	}
	return (v - a.low) / (a.high - a.low)
}

func (a axis) marks() (marks []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.001; v *= 10 {
			marks = append(marks, v)
		}
		return marks
	}
	for i := 0.0; i*a.step() <= a.high*1.001; i++ {
		marks = append(marks, i*a.step())
	}
	return marks
}

// short writes a mark.
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
	text := func(x, y float64, anchor, colour, s string, more string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>`, x, y, anchor, colour, more)
		_ = xml.EscapeText(&b, []byte(s)) // a buffer takes all
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
	text(left-8, top-4, "end", ink, c.Y, "")
	for i, l := range c.lines {
		colour := colours[i%len(colours)]
		b.WriteString(`<path d="`)
		for j, p := range l.points {
			fmt.Fprintf(&b, "%c%.1f %.1f ", "ML"[min(j, 1)], px(p[0]), py(p[1]))
		}
		fmt.Fprintf(&b, `" fill="none" stroke="%s" stroke-width="2"/>`+"\n", colour)
		for _, p := range l.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(p[0]), py(p[1]), colour)
		}
		text(left+innerWidth+14, float64(top+14+20*i), "start", colour, l.name, "")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
