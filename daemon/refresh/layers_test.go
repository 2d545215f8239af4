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

// TestLayers holds that a file uses no definition of a higher layer, but the Engine and its fields.
func TestLayers(t *testing.T) {
	layer := layers(t)
	set := gotoken.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" {
			continue
		}
		if _, ok := layer[name]; !ok {
			t.Errorf("%s is not in the list of doc.go", name)
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) != len(layer) {
		t.Errorf("doc.go lists %d files, there are %d", len(layer), len(files))
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: emptyImporter{}, Error: func(error) {}} // of what is imported
	pkg, _ := config.Check("tokend/daemon/refresh", set, files, info)
	uses := 0
	for id, object := range info.Uses {
		_, isField := object.(*types.Var)
		global := object.Parent() == pkg.Scope()
		_, isFunc := object.(*types.Func)
		if object.Pkg() != pkg || !global && (isField || !isFunc) || object.Name() == "Engine" {
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
