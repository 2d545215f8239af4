package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// screen is where output for people is written, and what it can show.
type screen struct {
	w      io.Writer
	width  int  // in columns; 0 for no limit
	color  bool // it understands colors
	blocks bool // it shows block characters
}

// screen returns the screen at standard output. Colors are for terminals, unless NO_COLOR is set.
func (env *environment) screen() screen {
	s := screen{w: env.stdout, blocks: inUTF8(env.locale("LC_CTYPE"))}
	f, ok := env.stdout.(*os.File)
	if !ok {
		return s
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return s
	}
	s.width = int(size.Col)
	s.color = env.getenv("NO_COLOR") == "" && env.getenv("TERM") != "dumb"
	return s
}

// style is a color of a terminal.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// styles are the colors of the states.
var styles = map[string]style{
	"fresh": green, "stale": yellow, "expired": red, "waiting": yellow, "held": red, "idle": dim,
}

// escape begins a color.
const escape = '\x1b'

// paint returns text in a style.
func (s *screen) paint(st style, text string) string {
	if !s.color || st == plain || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// bar returns a bar of the remaining life, in n columns. part is 0 to 1.
func (s *screen) bar(part float64, n int) string {
	full, rest := "#", "."
	if s.blocks {
		full, rest = "█", "░"
	}
	k := min(max(int(part*float64(n)+0.5), 0), n)
	if k == 0 && part > 0 {
		k = 1
	}
	st := green
	if part < 0.1 {
		st = yellow
	}
	return s.paint(st, strings.Repeat(full, k)) + s.paint(dim, strings.Repeat(rest, n-k))
}

// println writes a line that is not wrapped.
func (s *screen) println(text string) {
	_, _ = fmt.Fprintln(s.w, text) // the last flush reports errors
}

// wrapped writes text behind an indentation, wrapped at the width of the screen.
func (s *screen) wrapped(indent int, text string) {
	for _, line := range wrap(text, s.width-indent) {
		s.println(strings.Repeat(" ", indent) + line)
	}
}

// wrap breaks text into lines of at most width columns, at spaces and after wide characters. A
// width of less than 20 does not limit.
func wrap(text string, width int) (lines []string) {
	if width < 20 {
		return []string{text}
	}
	var line strings.Builder
	n, space := 0, false
	for _, word := range unbroken(text) {
		w := columns(word)
		if n > 0 && n+w+len(" ") > width {
			lines = append(lines, line.String())
			line.Reset()
			n = 0
		}
		blank := strings.HasSuffix(word, " ")
		if word = strings.TrimSuffix(word, " "); n > 0 && space {
			line.WriteByte(' ')
			n++
		}
		line.WriteString(word)
		n += columns(word)
		space = blank
	}
	return append(lines, line.String())
}

// unbroken splits text into pieces that no line break may divide. A piece keeps its last space.
func unbroken(text string) (all []string) {
	var word strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		word.WriteRune(r)
		next := ' '
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		if r == ' ' || wide(r) && !strings.ContainsRune("，。：；、）”", next) && next != ' ' && r != '（' && r != '“' {
			all = append(all, word.String())
			word.Reset()
		}
	}
	if word.Len() > 0 {
		all = append(all, word.String())
	}
	return all
}

// columns returns the width of text on a terminal, without the colors in it.
func columns(text string) (n int) {
	color := false
	for _, r := range text {
		if color = color || r == escape; color {
			color = r != 'm'
			continue
		}
		n++
		if wide(r) {
			n++
		}
	}
	return n
}

// wide reports whether r takes two columns.
func wide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
		r >= 0xffe0 && r <= 0xffe6 || r >= 0x20000 && r <= 0x3fffd)
}

// cell is a part of a row.
type cell struct {
	text  string
	style style

	// drawn, if not empty, is written in place of text, and is as wide.
	drawn string
}

// grid is rows whose columns are aligned by their width on a terminal, unlike those of a [table].
type grid [][]cell

func (g *grid) row(cells ...cell) { *g = append(*g, cells) }

// write writes the rows behind an indentation. If they are too wide, the first column is shortened
// in the middle, and then the last columns are left out.
func (g grid) write(s *screen, indent int) {
	const gap = 3
	var widths []int
	for _, row := range g {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	const least = 15
	total := indent - gap
	for _, w := range widths {
		total += w + gap
	}
	for s.width > 0 && total > s.width && len(widths) > 1 {
		if cut := min(total-s.width, max(widths[0]-least, 0)); total-cut <= s.width {
			widths[0] -= cut
			break
		}
		total -= widths[len(widths)-1] + gap
		widths = widths[:len(widths)-1]
	}
	for _, row := range g {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", indent))
		row = row[:min(len(row), len(widths))]
		for i, c := range row {
			text := shorten(c.text, widths[i])
			pad := widths[i] - columns(text) + gap
			b.WriteString(cmp.Or(c.drawn, s.paint(c.style, text)))
			if i+1 < len(row) {
				b.WriteString(strings.Repeat(" ", pad))
			}
		}
		s.println(strings.TrimRight(b.String(), " "))
	}
}

// shorten returns text in at most n columns, without its middle.
func shorten(text string, n int) string {
	if columns(text) <= n || n < 5 {
		return text
	}
	runes := []rune(text)
	half := (n - 1) / 2
	return string(runes[:n-1-half]) + "~" + string(runes[len(runes)-half:])
}
