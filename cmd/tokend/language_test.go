package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tokend/clientlib"
)

// inChinese is the environment of a user with a Chinese locale.
func inChinese() *environment {
	return &environment{getenv: func(key string) string { return map[string]string{"LANG": "zh_CN.UTF-8"}[key] }}
}

func TestLocale(t *testing.T) {
	for _, test := range []struct {
		env     map[string]string
		chinese bool
	}{
		{map[string]string{}, false},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, true},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, true},
		{map[string]string{"LC_ALL": "zh"}, true},
		{map[string]string{"LANG": "zh_CN.utf8"}, true},
		{map[string]string{"LANG": "zh_CN.GB18030"}, false}, // the texts are in UTF-8
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.GBK"}, false},
	} {
		env := &environment{getenv: func(key string) string { return test.env[key] }}
		if got := han.MatchString(env.say("reads")); got != test.chinese {
			t.Errorf("%v: Chinese %v", test.env, got)
		}
	}
}

// TestHelpInChinese holds that the help of every command is in Chinese, and that no translation is
// left over.
func TestHelpInChinese(t *testing.T) {
	root := newRoot(&environment{getenv: func(string) string { return "" }})
	used := map[string]bool{}
	check := func(where, text string) {
		used[text] = true
		if text != "" && helpInChinese[text] == "" {
			t.Errorf("%s is not in helpInChinese:\n%s", where, text)
		}
	}
	for _, g := range root.Groups() {
		check("a group", g.Title)
	}
	for _, c := range append(root.Commands(), root) {
		if c.Name() != "help" {
			check(c.Name(), c.Short)
			check(c.Name(), c.Long)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) { check(c.Name()+" --"+f.Name, f.Usage) })
	}
	for text := range helpInChinese {
		if !used[text] && text != "Help about any command" {
			t.Errorf("helpInChinese has a text that no command has:\n%s", text)
		}
	}
	env := inChinese()
	localized := newRoot(env)
	localized.InitDefaultHelpCmd()
	env.localize(localized)
	for _, c := range append(localized.Commands(), localized) {
		for line := range strings.Lines(c.UsageString()) {
			if word, ok := strings.CutSuffix(strings.TrimSpace(line), ":"); ok && !strings.Contains(word, " ") && word != "" {
				t.Errorf("%s: a heading in English: %s", c.Name(), line)
			}
		}
	}
}

// literals returns the string literals in the Go files of a directory that find selects.
func literals(t *testing.T, dir string, find func(n ast.Node) []ast.Expr) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range find(n) {
				if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
						found[text] = files.Position(lit.Pos()).String()
					}
				}
			}
			return true
		})
	}
	return found
}

// method returns the first argument of calls of methods with one of the names.
func method(names ...string) func(ast.Node) []ast.Expr {
	return func(n ast.Node) []ast.Expr {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return nil
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			if slices.Contains(names, sel.Sel.Name) {
				return call.Args[:1]
			}
		}
		return nil
	}
}

// TestTextsInChinese holds that every text of the CLI, and every hint, has a translation.
func TestTextsInChinese(t *testing.T) {
	said := literals(t, ".", method("say", "sayf"))
	for text, at := range said {
		if chinese[text] == "" {
			t.Errorf("%s: no translation of %q", at, text)
		}
	}
	hints := literals(t, ".", func(n ast.Node) []ast.Expr {
		switch n := n.(type) {
		case *ast.FuncDecl: // what functions of hints return
			if name := n.Name.Name; name == "hint" || name == "refusalHint" || name == "closedSocket" {
				var all []ast.Expr
				ast.Inspect(n, func(n ast.Node) bool {
					if r, ok := n.(*ast.ReturnStmt); ok {
						all = append(all, r.Results...)
					}
					return true
				})
				return all
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "hintedf" {
				return n.Args[:1]
			}
		case *ast.CompositeLit:
			if typ, ok := n.Type.(*ast.Ident); ok && typ.Name == "hintedError" && len(n.Elts) == 2 {
				return n.Elts[1:]
			}
		}
		return nil
	})
	if len(said) < 40 || len(hints) < 15 {
		t.Fatalf("only %d texts and %d hints were found", len(said), len(hints))
	}
	env := inChinese()
	for text, at := range hints {
		if !han.MatchString(env.saying(text)) {
			t.Errorf("%s: no translation of the hint %q", at, text)
		}
	}
}

// TestFormattedHints holds that hints with names in them are translated.
func TestFormattedHints(t *testing.T) {
	env := inChinese()
	for english, want := range map[string]string{
		"retry in 30s":                                "30s 后重试",
		`did you mean "tokend get"?`:                  `是否要输入 "tokend get"？`,
		hint(&configError{"a.toml", errors.New("x")}): "",
		"group tokend may open it: sudo usermod -aG tokend USER, then log in again, or restart that user's services": "tokend 组可以打开它：sudo usermod -aG tokend USER，然后重新登录，或重启该用户的服务",
		"to continue: tokend import open_platform/wx1 --offset 500":                                                  "继续：tokend import open_platform/wx1 --offset 500",
		hint(&askError{clientlib.ErrNoDaemon, "s", 1}):                                                               "启动：systemctl start tokend，或 tokend serve --config FILE；其他路径用 --socket 或 $TOKEND_SOCKET 指定",
		"of a later version": "of a later version",
	} {
		if got := env.saying(english); got != want {
			t.Errorf("%q:\n got %q\nwant %q", english, got, want)
		}
	}
}
