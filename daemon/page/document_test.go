package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPlaceholders: each call of put and when has as many values as its markup has placeholders,
// and each placeholder is text or in a quoted attribute.
func TestPlaceholders(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, name := range names {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			args := call.Args
			switch f, _ := call.Fun.(*ast.SelectorExpr); {
			case f == nil || call.Ellipsis.IsValid():
				return true
			case f.Sel.Name == "when":
				args = args[1:]
			case f.Sel.Name != "put":
				return true
			}
			calls++
			markup, at := constant(args[0]), files.Position(call.Pos())
			if n := strings.Count(markup, "{}"); n != len(args)-1 {
				t.Errorf("%s: %d placeholders, %d values", at, n, len(args)-1)
			}
			for _, before := range strings.Split(markup, "{}")[:len(args)-1] {
				if strings.HasSuffix(before, "=") || strings.HasSuffix(before, "<") || strings.HasSuffix(before, "'") {
					t.Errorf("%s: a placeholder after %s", at, before)
				}
			}
			return true
		})
	}
	if calls < 100 {
		t.Errorf("calls found: %d", calls)
	}
}

// constant returns the text of a constant; "" for a variable.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return constant(e.X) + constant(e.Y)
	}
	return ""
}

func TestEscape(t *testing.T) {
	for value, want := range map[any]string{
		`<a href="x" id='y'>&`: "&lt;a href=&#34;x&#34; id=&#39;y&#39;&gt;&amp;",
		"\x00\xff":             "\uFFFD\uFFFD",
		"中":                    "中",
		12:                     "12",
		true:                   "true",
	} {
		var d document
		if d.put("{}", value); d.String() != want {
			t.Errorf("%q: got %q, want %q", value, d.String(), want)
		}
	}
}
