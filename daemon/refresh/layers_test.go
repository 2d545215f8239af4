package refresh

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layers returns the layer of each file by the list in the package comment, from 0 up.
func layers(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "// # Files\n")
	list, _, end := strings.Cut(list, "// # ")
	if !found || !end {
		t.Fatal("doc.go has no list of files")
	}
	of, layer := map[string]int{}, -1
	for line := range strings.Lines(list) {
		line, ok := strings.CutPrefix(line, "//\t")
		switch {
		case !ok:
		case strings.HasPrefix(line, "\t"):
			file, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			of[file] = layer
		default:
			layer++
		}
	}
	return of
}

// emptyImporter imports empty packages: what is in them is of no layer.
type emptyImporter struct{}

func (emptyImporter) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}

// check type-checks the files of the package, tests excluded, as far as that goes without those
// that it imports.
func check(t *testing.T) (set *gotoken.FileSet, pkg *types.Package, info *types.Info, files []string) {
	t.Helper()
	set = gotoken.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files, parsed = append(files, name), append(parsed, file)
	}
	info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: emptyImporter{}, Error: func(error) {}} // of what is imported
	pkg, _ = config.Check("tokend/daemon/refresh", set, parsed, info)
	return set, pkg, info, files
}

// TestLayers holds that a file uses no definition of a higher layer, but the Engine and its fields.
func TestLayers(t *testing.T) {
	layer := layers(t)
	set, pkg, info, files := check(t)
	for _, name := range files {
		if _, ok := layer[name]; !ok {
			t.Errorf("%s is not in the list of doc.go", name)
		}
	}
	if len(files) != len(layer) {
		t.Errorf("doc.go lists %d files, there are %d", len(layer), len(files))
	}
	uses := 0
	for id, object := range info.Uses {
		_, isMethod := object.(*types.Func)
		if object.Pkg() != pkg || object.Parent() != pkg.Scope() && !isMethod || object.Name() == "Engine" {
			continue
		}
		uses++
		user, used := set.Position(id.Pos()), set.Position(object.Pos())
		if layer[used.Filename] > layer[user.Filename] {
			t.Errorf("%s uses %s of %s, which is of a higher layer", user, id.Name, used.Filename)
		}
	}
	if uses < 1000 {
		t.Errorf("found %d uses of definitions only", uses)
	}
}

// TestNoShadows holds that no local variable has the name of a definition of the package.
func TestNoShadows(t *testing.T) {
	set, pkg, info, _ := check(t)
	for id, object := range info.Defs {
		v, ok := object.(*types.Var)
		if !ok || v.IsField() || v.Parent() == pkg.Scope() {
			continue
		}
		if pkg.Scope().Lookup(id.Name) != nil {
			t.Errorf("%s: the variable %s shadows a definition", set.Position(id.Pos()), id.Name)
		}
	}
}
