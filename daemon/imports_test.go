package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What packages may import. A pattern that ends in /... matches a package and all below it.
var (
	// standardOnly packages may import the standard library and the packages of this module that
	// are listed. Other people's programs link them, or all other packages are built on them.
	standardOnly = map[string][]string{
		"tokend/protocol":                nil,
		"tokend/protocol/conversation":   {"tokend/protocol"},
		"tokend/clientlib":               {"tokend/protocol"},
		"tokend/clientlib/clientlibtest": {"tokend/fetchers", "tokend/fetchers/secret", "tokend/protocol"},
		"tokend/clientlib/manual":        nil,
		"tokend/fetchers":                {"tokend/fetchers/secret"},
		"tokend/fetchers/secret":         nil,
		"tokend/fetchers/wechattest":     {"tokend/fetchers", "tokend/fetchers/secret"},
		"tokend/daemon/alias":            nil,
		"tokend/daemon/clock":            nil,
		"tokend/daemon/cluster/kvtest":   {"tokend/daemon/cluster"},
		"tokend/daemon/cluster/seal":     {"tokend/fetchers/secret"},
		"tokend/daemon/credential":       {"tokend/fetchers", "tokend/fetchers/secret"},
		"tokend/daemon/permit":           {"tokend/daemon/system"},
		"tokend/daemon/policy":           {"tokend/daemon/quota"},
		"tokend/daemon/quota":            {"tokend/daemon/clock"},
		"tokend/daemon/record":           {"tokend/fetchers/secret"},
		"tokend/daemon/throttle":         nil,
	}

	// internal packages may import any library and the listed packages of this module. They are all
	// packages that are not in standardOnly, except the programs, which may import any.
	internal = map[string][]string{
		"tokend/daemon": {
			"tokend/daemon/access",
			"tokend/daemon/boot",
			"tokend/daemon/catalog",
			"tokend/daemon/config",
			"tokend/daemon/credential",
			"tokend/daemon/footprint",
			"tokend/daemon/inbox",
			"tokend/daemon/memlock",
			"tokend/daemon/metrics",
			"tokend/daemon/page",
			"tokend/daemon/record",
			"tokend/daemon/refresh",
			"tokend/daemon/server",
			"tokend/daemon/server/descriptors",
			"tokend/daemon/server/socket",
			"tokend/daemon/store",
			"tokend/daemon/survey",
			"tokend/daemon/throttle",
			"tokend/daemon/web",
			"tokend/fetchers", // for TestDaemonOnlySigns' one function
		},
		"tokend/daemon/access": {"tokend/daemon/system", "tokend/protocol"},
		"tokend/daemon/advice": {"tokend/daemon/credential", "tokend/fetchers"},
		"tokend/daemon/boot":   nil,
		"tokend/daemon/catalog": {
			"tokend/daemon/config", "tokend/daemon/credential", "tokend/daemon/inbox", "tokend/daemon/policy", "tokend/daemon/refresh",
			"tokend/fetchers", "tokend/fetchers/secret",
		},
		"tokend/daemon/catalog/catalogtest": {"tokend/fetchers/wechattest"},
		"tokend/daemon/cluster":             {"tokend/daemon/clock", "tokend/daemon/cluster/seal", "tokend/daemon/record", "tokend/daemon/refresh", "tokend/fetchers/secret"},
		"tokend/daemon/config":              {"tokend/daemon/alias", "tokend/daemon/permit", "tokend/fetchers/secret"},
		"tokend/daemon/footprint":           nil,
		"tokend/daemon/inbox":               {"tokend/daemon/credential", "tokend/fetchers", "tokend/fetchers/secret"},
		"tokend/daemon/logqueue":            nil,
		"tokend/daemon/memlock":             nil,
		"tokend/daemon/metrics":             {"tokend/daemon/credential", "tokend/daemon/survey", "tokend/daemon/throttle"},
		"tokend/daemon/page":                {"tokend/daemon/advice", "tokend/daemon/credential", "tokend/daemon/survey", "tokend/daemon/throttle"},
		"tokend/daemon/page/chromium":       nil,
		"tokend/daemon/refresh":             {"tokend/daemon/clock", "tokend/daemon/credential", "tokend/daemon/policy", "tokend/daemon/quota", "tokend/daemon/record", "tokend/daemon/throttle", "tokend/fetchers", "tokend/fetchers/secret"},
		"tokend/daemon/server":              {"tokend/daemon/access", "tokend/daemon/advice", "tokend/daemon/alias", "tokend/daemon/clock", "tokend/daemon/credential", "tokend/daemon/server/descriptors", "tokend/daemon/server/epoll", "tokend/daemon/server/socket", "tokend/daemon/throttle", "tokend/fetchers/secret", "tokend/protocol"},
		"tokend/daemon/server/descriptors":  {"tokend/daemon/system"},
		"tokend/daemon/server/epoll":        nil,
		"tokend/daemon/server/socket":       {"tokend/daemon/access", "tokend/daemon/system"},
		"tokend/daemon/store":               {"tokend/daemon/memlock", "tokend/daemon/permit", "tokend/daemon/record", "tokend/daemon/store/inplace", "tokend/daemon/store/journal", "tokend/daemon/system", "tokend/fetchers/secret"},
		"tokend/daemon/store/inplace":       nil,
		"tokend/daemon/store/journal":       {"tokend/daemon/store/inplace", "tokend/daemon/system"},
		"tokend/daemon/store/memstore":      {"tokend/daemon/record"},
		"tokend/daemon/survey":              {"tokend/daemon/credential", "tokend/daemon/server", "tokend/daemon/store"},
		"tokend/daemon/system":              nil,
		"tokend/daemon/web":                 {"tokend/daemon/credential"},
	}

	// programs are the command and its benchmarks.
	programs = []string{"tokend/cmd/...", "tokend/benchmarks/..."}

	// forbidden lists packages that only the named packages may import. The other programs may
	// import whatever the command may.
	forbidden = []struct {
		imported string
		by       []string
	}{
		{"github.com/dgraph-io/...", []string{"tokend/daemon/store"}},
		{"github.com/pelletier/go-toml/...", []string{"tokend/daemon/config"}},
		{"github.com/prometheus/...", []string{"tokend/daemon/metrics"}},
		{"github.com/spf13/...", []string{"tokend/cmd/..."}},
		{"github.com/coreos/go-systemd/...", []string{"tokend/cmd/..."}},
		{"testing/...", []string{"tokend/daemon/page/chromium"}}, // and tests
		{"tokend/cmd/...", []string{"tokend/cmd/..."}},
		{"tokend/daemon/refresh", []string{"tokend/daemon", "tokend/daemon/catalog", "tokend/daemon/cluster", "tokend/cmd/tokend/demo"}},
		{"tokend/daemon/catalog/catalogtest", nil}, // tests only
		{"tokend/clientlib/clientlibtest", nil},    // tests only
		{"tokend/clientlib/manual", nil},           // tests only
		{"tokend/daemon", []string{"tokend/cmd/..."}},
		{"go.etcd.io/...", nil},
		{"html/template", nil}, // the linker keeps all exported methods of all types in a program that executes templates
		{"text/template", nil},
		{"tokend/daemon/cluster", []string{"tokend/daemon/cluster/kvtest", "tokend/cmd/tokend/demo"}},
		{"tokend/daemon/cluster/kvtest", []string{"tokend/cmd/tokend/demo"}}, // and tests
		{"tokend/daemon/cluster/seal", []string{"tokend/daemon/cluster"}},
		{"tokend/daemon/web", []string{"tokend/daemon"}},
		{"tokend/daemon/metrics", []string{"tokend/daemon"}},
		{"tokend/daemon/page", []string{"tokend/daemon"}},
		{"tokend/daemon/store/memstore", []string{"tokend/daemon/store"}},                               // and tests
		{"tokend/fetchers/wechattest", []string{"tokend/cmd/...", "tokend/daemon/catalog/catalogtest"}}, // and tests
	}

	// socketless packages do not import net.
	socketless = []string{"tokend/protocol", "tokend/daemon/catalog", "tokend/daemon/credential", "tokend/daemon/inbox", "tokend/daemon/policy", "tokend/daemon/quota", "tokend/daemon/refresh", "tokend/daemon/record", "tokend/daemon/clock",
		"tokend/daemon/cluster", "tokend/daemon/cluster/kvtest", "tokend/daemon/cluster/seal",
		"tokend/daemon/store", "tokend/daemon/store/inplace", "tokend/daemon/store/journal", "tokend/daemon/store/memstore"}

	// callless packages make no system calls of their own: sessions do not know how bytes arrive.
	callless = []string{"tokend/daemon/server"}

	// speakHTTP packages are HTTP clients or servers.
	speakHTTP = []string{"tokend/clientlib", "tokend/fetchers", "tokend/fetchers/wechattest", "tokend/daemon/web", "tokend/cmd/...", "tokend/benchmarks/..."}
)

// TestImports compares the imports of all packages with the lists above.
func TestImports(t *testing.T) {
	all := imports(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "tokend/...")
	for pkg := range standardOnly {
		if all[pkg] == nil {
			t.Errorf("%s: no such package", pkg)
		}
	}
	for pkg := range internal {
		if all[pkg] == nil {
			t.Errorf("%s: no such package", pkg)
		}
	}
	for pkg, imported := range all {
		_, bare := standardOnly[pkg]
		_, listed := internal[pkg]
		if !bare && !listed && !program(pkg) && len(imported) > 0 { // more than tests
			t.Errorf("%s: in no list of what it may import", pkg)
		}
		for _, path := range imported {
			if allowed, ok := standardOnly[pkg]; ok && !standard(path) && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", pkg, path)
			}
			if allowed, ok := internal[pkg]; ok && within("tokend/...", path) && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", pkg, path)
			}
			for _, f := range forbidden {
				allowed := slices.ContainsFunc(f.by, func(by string) bool { return within(by, pkg) || by == "tokend/cmd/..." && program(pkg) })
				if within(f.imported, path) && !within(f.imported, pkg) && !allowed {
					t.Errorf("%s imports %s: only %q may", pkg, path, f.by)
				}
			}
			if slices.Contains(socketless, pkg) && within("net/...", path) && path != "net/url" {
				t.Errorf("%s imports %s", pkg, path)
			}
			if slices.Contains(callless, pkg) && within("golang.org/x/sys/...", path) {
				t.Errorf("%s imports %s", pkg, path)
			}
			if within("net/http/...", path) && !slices.ContainsFunc(speakHTTP, func(p string) bool { return within(p, pkg) }) {
				t.Errorf("%s imports %s", pkg, path)
			}
		}
	}
}

// TestDaemonOnlySigns checks that the daemon uses fetchers for signatures only. Package catalog
// knows how a credential is fetched and parsed.
func TestDaemonOnlySigns(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "fetchers" && s.Sel.Name != "Sign" {
					t.Errorf("%s uses fetchers.%s", path, s.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestClientDependencies checks that a program that uses the client links protocol and no other
// package, directly or indirectly.
func TestClientDependencies(t *testing.T) {
	var got []string
	for pkg := range imports(t, "-deps", "tokend/clientlib") {
		if !standard(pkg) {
			got = append(got, pkg)
		}
	}
	slices.Sort(got)
	if want := []string{"tokend/clientlib", "tokend/protocol"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// imports returns the lines that go list prints: by the first word of each, the other words.
func imports(t *testing.T, args ...string) map[string][]string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}

// standard reports whether a package is in the standard library. Paths of other modules begin with
// a host name, and paths of this module with its name.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != "tokend" && !strings.Contains(first, ".")
}

func program(pkg string) bool {
	return slices.ContainsFunc(programs, func(p string) bool { return within(p, pkg) })
}

func within(pattern, path string) bool {
	root, below := strings.CutSuffix(pattern, "/...")
	return path == root || below && strings.HasPrefix(path, root+"/")
}
