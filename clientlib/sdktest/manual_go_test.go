package sdktest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tokend/clientlib/manual"
)

// TestManualGo compiles the Go code of the manual against the SDKs, and runs it. The directory
// pages has the surroundings of each page: a function useX there gets the x that a block declares.
func TestManualGo(t *testing.T) {
	t.Parallel()
	pages := manualBlocks(t, "go")
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		t.Run(page, func(t *testing.T) {
			c := newChapter(t, page)
			program := buildPage(t, c, pages[page])
			c.begin(t)
			env := []string{
				"https_proxy=" + c.proxy, "no_proxy=", "SSL_CERT_FILE=" + c.root,
				"SANDBOX=" + c.url, "TOKEND_SOCKET=" + c.tokens.Client.Socket,
			}
			for i, b := range pages[page] {
				arg := strconv.Itoa(i)
				c.hold(t, b, func() { run(t, env, program, arg) })
				if b.Before {
					continue
				}
				own := c.fetched()
				run(t, append(env, "KILL=1"), program, arg)
				if got := c.fetched() - own; got != 0 {
					t.Errorf("%s: after a killed token the code fetched %d times", b, got)
				}
			}
		})
	}
}

// buildPage builds a program of a page's blocks. Each block is a package that exists only in the
// build: the file of the page in pages, and the block.
func buildPage(t *testing.T, c *chapter, blocks []manual.Block) string {
	t.Helper()
	dir := t.TempDir()
	module, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(module, "pages", strings.TrimSuffix(blocks[0].Page, ".md"), "page.go")
	overlay := map[string]string{}
	add := func(name, text string) {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(module, "pages", name)] = file
	}
	var imports, table strings.Builder
	for i, b := range blocks {
		text, err := surround(page, c.words.Replace(b.Text))
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		name := fmt.Sprintf("block%d", i)
		add(name+"/block.go", text)
		overlay[filepath.Join(module, "pages", name, "page.go")] = page
		fmt.Fprintf(&imports, "import %s \"tokend/clientlib/sdktest/pages/%s\"\n", name, name)
		fmt.Fprintf(&table, "\t%q: %s.Run,\n", strconv.Itoa(i), name)
	}
	add("all/main.go", "package main\n\n"+imports.String()+"import \"tokend/clientlib/sdktest/pages/run\"\n\n"+
		"func main() { run.Main(map[string]func() error{\n"+table.String()+"}) }\n")
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	add("overlay.json", string(list))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./pages/all")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", blocks[0].Page, err, out)
	}
	return program
}

// surround returns a file of the page's package with a block and a function Run, which runs the
// block if it has statements, and uses what the block declares.
func surround(page, block string) (string, error) {
	set := token.NewFileSet()
	around, err := parser.ParseFile(set, page, nil, 0)
	if err != nil {
		return "", err
	}
	declared := "package page\n" + block
	run := "func Run() error {\n"
	file, err := parser.ParseFile(set, "", declared, 0)
	var names []string
	if err == nil {
		for name, object := range file.Scope.Objects {
			if object.Kind != ast.Typ {
				names = append(names, name)
			}
		}
		slices.Sort(names)
	} else {
		declared, run = "package page\n", run+block
		if file, err = parser.ParseFile(set, "", declared+run+"}\n", 0); err != nil {
			return "", err
		}
		names = variables(file.Decls[0].(*ast.FuncDecl).Body)
	}
	for _, name := range names {
		use := "use" + strings.ToUpper(name[:1]) + name[1:]
		if around.Scope.Lookup(use) != nil {
			run += fmt.Sprintf("if err := %s(%s); err != nil { return err }\n", use, name)
		} else {
			run += fmt.Sprintf("_ = %s\n", name)
		}
	}
	var imports string
	for _, i := range around.Imports {
		name := path.Base(strings.Trim(i.Path.Value, `"`))
		if i.Name != nil {
			name = i.Name.Name
		}
		if selects(file, name) {
			imports += "import " + name + " " + i.Path.Value + "\n"
		}
	}
	return strings.Replace(declared, "package page\n", "package page\n"+imports, 1) + "\n" + run + "return nil\n}\n", nil
}

// variables returns the variables that the outermost statements of a body declare.
func variables(body *ast.BlockStmt) (names []string) {
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.AssignStmt:
			for _, left := range s.Lhs {
				if id, ok := left.(*ast.Ident); ok && s.Tok == token.DEFINE && id.Name != "_" && !slices.Contains(names, id.Name) {
					names = append(names, id.Name)
				}
			}
		case *ast.DeclStmt:
			for _, spec := range s.Decl.(*ast.GenDecl).Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, id := range v.Names {
						names = append(names, id.Name)
					}
				}
			}
		}
	}
	return names
}

// selects returns whether a file has a selector of the package.
func selects(file *ast.File, name string) (found bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == name {
				found = true
			}
		}
		return !found
	})
	return found
}
