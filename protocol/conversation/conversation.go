package conversation

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// Kind is the kind of a step.
type Kind uint8

// Kinds of steps. A comment is not a step.
const (
	Send      Kind = iota + 1 // ">": the client sends Text
	Receive                   // "<": the server replies Text
	Advance                   // "@": Wait passes
	Directive                 // "!": Text names an event
)

// Step is one line of a conversation.
type Step struct {
	Line int // in the file, from 1
	Kind Kind
	Text string // unescaped, without LF; empty for Advance
	Wait time.Duration
}

// Closed is the directive's text for a connection that the server has closed.
const Closed = "closed"

// Conversation is one file.
type Conversation struct {
	Name  string // of the file, without directory and .txt
	Text  string // as in the file
	Steps []Step
}

// Load reads every *.txt in the root of fsys, in the order of their names. It returns an error if
// there is none: a test of no conversations would pass.
func Load(fsys fs.FS) ([]Conversation, error) {
	files, err := fs.Glob(fsys, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("conversation: no *.txt: %w", fs.ErrNotExist)
	}
	all := make([]Conversation, 0, len(files))
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		steps, err := Parse(strings.NewReader(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, Conversation{
			Name:  strings.TrimSuffix(path.Base(file), ".txt"),
			Text:  string(text),
			Steps: steps,
		})
	}
	return all, nil
}

// Parse reads the steps of one conversation. A conversation without a client line is an error: it
// would show nothing.
func Parse(r io.Reader) ([]Step, error) {
	var steps []Step
	says := false
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		step.Line = n
		says = says || step.Kind == Send
		steps = append(steps, step)
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	if !says {
		return nil, fmt.Errorf("conversation: the client sends no line")
	}
	return steps, nil
}

func parseStep(line string) (Step, error) {
	mark, text := line[0], line[1:]
	if text != "" && text[0] != ' ' || mark != '>' && len(text) < 2 {
		return Step{}, fmt.Errorf("want a mark, a space and a text: %q", line)
	}
	text = strings.TrimPrefix(text, " ")
	switch mark {
	case '>':
		if strings.Contains(text, `\`) {
			plain, err := strconv.Unquote(`"` + text + `"`)
			if err != nil {
				return Step{}, fmt.Errorf("escape in %q: %w", text, err)
			}
			text = plain
		}
		return Step{Kind: Send, Text: text}, nil
	case '<':
		return Step{Kind: Receive, Text: text}, nil
	case '!':
		return Step{Kind: Directive, Text: text}, nil
	case '@':
		d, ok := strings.CutPrefix(text, "+")
		wait, err := time.ParseDuration(d)
		if !ok || err != nil || wait <= 0 {
			return Step{}, fmt.Errorf("want +<duration>: %q", text)
		}
		return Step{Kind: Advance, Wait: wait}, nil
	}
	return Step{}, fmt.Errorf("unknown mark %q", mark)
}

// Match reports whether got is the line that want describes. A field of want in braces matches any
// field.
func Match(want, got string) bool {
	w, g := strings.Split(want, " "), strings.Split(got, " ")
	if len(w) != len(g) {
		return false
	}
	for i := range w {
		open := strings.HasPrefix(w[i], "{") && strings.HasSuffix(w[i], "}")
		if open && g[i] == "" || !open && w[i] != g[i] {
			return false
		}
	}
	return true
}
