package config

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// setting is a key of a table in the example or the reference.
type setting struct {
	table, key string // table is "" at the top level
}

// shown is the example with all its settings uncommented.
type shown struct {
	lines []string
	at    map[setting]int // index of the first line of each setting
}

func loadShown(t *testing.T) shown {
	t.Helper()
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	s := shown{at: map[setting]int{}}
	s.lines = strings.Split(regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(string(b), "$1"), "\n")
	table := ""
	for i, line := range s.lines {
		if m := regexp.MustCompile(`^\[+[a-z_.]+\]+`).FindString(line); m != "" {
			table = m
		} else if m := regexp.MustCompile(`^([a-z_]+) *=`).FindStringSubmatch(line); m != nil {
			if _, twice := s.at[setting{table, m[1]}]; !twice {
				s.at[setting{table, m[1]}] = i
			}
		}
	}
	return s
}

// with parses the example with the line of a key replaced.
func (s shown) with(t *testing.T, at setting, line string, env Env) (*Config, error) {
	t.Helper()
	lines := append([]string(nil), s.lines...)
	lines[s.at[at]] = line
	return Parse("tokend.toml", []byte(strings.Join(lines, "\n")), env)
}

// keysRead returns the keys that the package reads: the literals that are passed to parameters
// named key.
func keysRead(t *testing.T) map[string]bool {
	t.Helper()
	var files []*ast.File
	index := map[string]int{} // by method
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			i := 0
			for _, p := range fn.Type.Params.List {
				for _, n := range p.Names {
					if n.Name == "key" {
						index[fn.Name.Name] = i
					}
					i++
				}
			}
		}
	}
	keys := map[string]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if i, ok := index[method.Sel.Name]; ok && i < len(call.Args) {
				if text, ok := call.Args[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
					if key, err := strconv.Unquote(text.Value); err == nil {
						keys[key] = true
					}
				}
			}
			return true
		})
	}
	return keys
}

// TestReference compares the keys and defaults in docs/configuration.md, in every language, with
// the example and the code.
func TestReference(t *testing.T) {
	example, env := loadShown(t), newTestEnv(t)
	named := map[string]bool{}
	for s := range example.at {
		named[s.key] = true
		for word := range strings.FieldsFuncSeq(s.table, func(r rune) bool { return strings.ContainsRune("[].", r) }) {
			named[word] = true
		}
	}
	for _, m := range regexp.MustCompile(`\{ ([a-z]+) =`).FindAllStringSubmatch(strings.Join(example.lines, "\n"), -1) {
		named[m[1]] = true // a secret's source
	}
	read := keysRead(t)
	if len(read) < 30 {
		t.Errorf("only %d keys were found in the code", len(read))
	}
	for key := range read {
		if !named[key] {
			t.Errorf("tokend.toml does not show %s", key)
		}
	}
	for _, page := range []string{"../../docs/configuration.md", "../../docs/zh/configuration.md"} {
		b, err := os.ReadFile(page)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(page, "/zh/") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if size := fmt.Sprintf("%d MiB", maxFile>>20); !strings.Contains(string(b), size) {
			t.Errorf("%s lacks the maximum size of the file, %s", page, size)
		}
		defaults := documented(string(b))
		for s := range example.at {
			if _, ok := defaults[s]; !ok {
				t.Errorf("%s lacks %s %s", page, s.table, s.key)
			}
		}
		for s, value := range defaults {
			if _, ok := example.at[s]; !ok {
				t.Errorf("%s has %s %s, and tokend.toml has not", page, s.table, s.key)
				continue
			}
			without, err := example.with(t, s, "", env)
			switch value {
			case "required", "必填":
				if err == nil || !strings.Contains(err.Error(), s.key+" is missing") {
					t.Errorf("%s: %s %s is not required: %v", page, s.table, s.key, err)
				}
			case "none", "无":
				if err != nil {
					t.Errorf("%s: %s %s is not optional: %v", page, s.table, s.key, err)
				}
			default:
				with, e := example.with(t, s, s.key+" = "+strings.Trim(value, "`"), env)
				if err != nil || e != nil || !reflect.DeepEqual(with, without) {
					t.Errorf("%s: %s is not the default of %s %s: %v, %v", page, value, s.table, s.key, err, e)
				}
			}
		}
	}
}

// documented returns the defaults in a reference: the third cell of each row. The heading above the
// rows names the table, or no table for the top level.
func documented(text string) map[setting]string {
	defaults := map[setting]string{}
	heading, row := regexp.MustCompile("^#+ .*?(?:`(\\[+[a-z_.]+\\]+)`)?$"), regexp.MustCompile("^\\| `([a-z_]+)` \\|[^|]*\\| ([^|]*) \\|[^|]*\\|$")
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := heading.FindStringSubmatch(line); m != nil {
			table = m[1]
		} else if m := row.FindStringSubmatch(line); m != nil {
			defaults[setting{table, m[1]}] = m[2]
		}
	}
	return defaults
}
