package config

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is the values of a TOML file and the line of each key.
type document struct {
	values map[string]any
	lines  map[string]int // by path
}

// A path identifies a key or an array's element by its keys and indices, each preceded by pathMark.
// No key that tokend knows contains pathMark.
const pathMark = "\x1f"

func join(path, key string) string      { return path + pathMark + key }
func element(path string, i int) string { return path + pathMark + "#" + strconv.Itoa(i) }

// parse reads a TOML file. The problem is the first syntax error.
func parse(data []byte) (document, *Problem) {
	d := document{values: make(map[string]any)}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors write a byte order mark
	if err := toml.Unmarshal(data, &d.values); err != nil {
		p := Problem{Message: "not TOML"}
		if de, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := de.Position()
			p = mistake(data, line, column, de.Error())
		}
		return d, &p
	}
	n := bytes.Count(data, []byte{'\n'})
	d.lines = make(map[string]int, n) // about one path a line
	w := walker{lines: d.lines, counts: make(map[string]int), data: data, breaks: make([]int, 0, n)}
	for i, c := range data {
		if c == '\n' {
			w.breaks = append(w.breaks, i)
		}
	}
	w.walk()
	return d, nil
}

// withoutQuotes removes quotations of the file from a parser's message. They may be a secret
// without its quotation marks.
func withoutQuotes(msg string) string {
	var b strings.Builder
	for {
		i := strings.IndexAny(msg, "\"'`")
		if i < 0 {
			return b.String() + msg
		}
		j := strings.LastIndexByte(msg[i+1:], msg[i])
		if j < 0 {
			return strings.TrimRight(b.String()+msg[:i], " :")
		}
		b.WriteString(msg[:i] + "...")
		msg = msg[i+1+j+1:]
	}
}

// walker finds the line of every key.
type walker struct {
	data   []byte
	breaks []int // offsets of line breaks, ascending
	lines  map[string]int
	counts map[string]int // number of tables in an array so far, by path
}

func (w *walker) walk() {
	var p unstable.Parser
	p.Reset(w.data)
	table := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = w.header(e)
		case unstable.KeyValue:
			w.keyValue(table, e)
		}
	}
}

// header returns the path of the table that e starts.
func (w *walker) header(e *unstable.Node) string {
	path := ""
	for k := e.Key(); k.Next(); {
		path = join(path, string(k.Node().Data))
		w.note(path, k.Node())
		last := k.IsLast()
		if last && e.Kind == unstable.ArrayTable {
			w.counts[path]++
		}
		// Keys below an array of tables belong to its last table.
		if n := w.counts[path]; n > 0 {
			path = element(path, n-1)
			w.note(path, k.Node())
		}
	}
	return path
}

func (w *walker) keyValue(path string, e *unstable.Node) {
	for k := e.Key(); k.Next(); {
		path = join(path, string(k.Node().Data))
		w.note(path, k.Node())
	}
	w.value(path, e.Value())
}

func (w *walker) value(path string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for c := v.Children(); c.Next(); {
			w.keyValue(path, c.Node())
		}
	case unstable.Array:
		i := 0
		for c := v.Children(); c.Next(); i++ {
			at := element(path, i)
			w.lines[at] = w.lines[path]
			if c.Node().Raw.Length > 0 {
				w.lines[at] = w.lineAt(c.Node())
			}
			w.value(at, c.Node())
		}
	}
}

// note records the line where path first occurs.
func (w *walker) note(path string, n *unstable.Node) {
	if _, seen := w.lines[path]; !seen {
		w.lines[path] = w.lineAt(n)
	}
}

func (w *walker) lineAt(n *unstable.Node) int {
	i, _ := slices.BinarySearch(w.breaks, int(n.Raw.Offset))
	return i + 1
}
