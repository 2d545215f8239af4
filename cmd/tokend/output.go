package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table writes columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)} }

func (t table) row(cells ...string) {
	// flush reports write errors.
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.w.Flush() }

// left returns a remaining lifetime for people, or "-" for none.
func left(ttl time.Duration) string {
	if ttl <= 0 {
		return "-"
	}
	return duration(ttl)
}

// duration returns d in its two largest units: 1h59m, 4m12s, 8s, 3d4h.
func duration(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		word string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		s := fmt.Sprintf("%d%s", d/u.size, u.word)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				s += fmt.Sprintf("%d%s", rest, units[i+1].word)
			}
		}
		return s
	}
	return "0s"
}

// clock returns a time for people, in local time.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// grouped returns n with a space between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
