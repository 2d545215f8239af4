package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigFieldsSet checks that each exported field of each Config is set outside its package. A
// field that only tests set should be unexported, or a constant. The Config of package config is
// excepted.
func TestConfigFieldsSet(t *testing.T) {
	fields := map[string][]string{} // by package
	set := map[string]bool{}        // package.field
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name := file.Name.Name
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSpec:
					if s, ok := n.Type.(*ast.StructType); ok && n.Name.Name == "Config" && name != "config" {
						fields[name] = append(fields[name], exported(s)...)
					}
				case *ast.CompositeLit:
					of, ok := n.Type.(*ast.SelectorExpr)
					if !ok || of.Sel.Name != "Config" {
						break
					}
					for _, e := range n.Elts {
						set[of.X.(*ast.Ident).Name+"."+e.(*ast.KeyValueExpr).Key.(*ast.Ident).Name] = true
					}
				case *ast.SelectorExpr: // set by the command's flags, such as &s.cfg.Seed
					if name == "main" {
						set["store."+n.Sel.Name], set["sandbox."+n.Sel.Name] = true, true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(fields) < 8 {
		t.Errorf("only %d packages with a Config were found", len(fields))
	}
	simulated := "refresh.Wall" // hosts of a simulation have wall clocks that differ
	for pkg, names := range fields {
		for _, name := range names {
			if !set[pkg+"."+name] && pkg+"."+name != simulated {
				t.Errorf("%s.Config.%s is never set", pkg, name)
			}
		}
	}
}

// exported returns the names of the exported fields of s.
func exported(s *ast.StructType) (names []string) {
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			if name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
