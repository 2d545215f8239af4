package demo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[-+.0-9]*([a-z])`)

// arguments returns which argument a text formats with which verb: "2d", "3s".
func arguments(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	next := 1
	for _, m := range verb.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			next = n
		}
		all = append(all, strconv.Itoa(next)+m[2])
		next++
	}
	slices.Sort(all)
	return all
}

// TestLanguagesMatch holds that each text and its translation format the same arguments.
func TestLanguagesMatch(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			var texts []string
			last := 0
			for i, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					texts, last = append(texts, s), i
				}
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"say", "begin", "check"}, method.Sel.Name) || len(texts) != 2 {
				return true
			}
			pairs++
			en, zh := arguments(t, texts[0]), arguments(t, texts[1])
			given := len(call.Args) - 1 - last
			if !slices.Equal(en, zh) || len(en) != given {
				t.Errorf("%s: %d arguments\nen %q\nzh %q", name, given, texts[0], texts[1])
			}
			return true
		})
	}
	if pairs < 50 {
		t.Errorf("texts found: %d, want at least 50", pairs)
	}
}

// TestDeadValuesAreNoticed holds that the demonstration detects a daemon that serves dead values.
func TestDeadValuesAreNoticed(t *testing.T) {
	s := newObservations([]string{"a/b/c"})
	now := time.Now()
	s.note("a/b/c", "v", nil, now, true)
	s.note("a/b/c", "v", nil, now, false) // died on its way
	if s.dead != 0 {
		t.Errorf("dead on its way: got %d, want 0", s.dead)
	}
	s.note("a/b/c", "v", nil, now.Add(2*pastEnd), false)
	s.note("a/b/c", "v", nil, now.Add(3*pastEnd), false)
	if s.dead != 2 || s.good != 4 || s.reads != 4 {
		t.Errorf("got dead %d, good %d, reads %d, want 2, 4, 4", s.dead, s.good, s.reads)
	}
	if got := s.renewed(map[string]string{"a/b/c": "v"}); got != 0 {
		t.Errorf("renewed: got %d, want 0", got)
	}
	s.note("a/b/c", "w", nil, now, true)
	if got := s.renewed(map[string]string{"a/b/c": "v"}); got != 1 {
		t.Errorf("renewed: got %d, want 1", got)
	}
}
